import { z } from 'zod'
import { fitsBytes, NAME_BYTES_MAX, text } from './text.ts'

export const ATTACHMENTS_MAX = 64
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}(?: ?; ?[\w!#$&^.+-]+=[\w!#$&^.+-]+)*$/
const CHARS_MAX = 1_048_576

/** The name of a file in one folder, whatever else it holds: never a path. */
const attachmentNameSchema = text(1, NAME_BYTES_MAX)
  .refine((name) => !name.includes('/') && name !== '.' && name !== '..', { error: 'not the name of a file' })
  .refine((name) => fitsBytes(name, NAME_BYTES_MAX), {
    error: `longer than ${NAME_BYTES_MAX} bytes of UTF-8`,
  })

/** A file that goes with a command, as text or as base64; its agent finds it read-only at `/attachments/<name>`. */
export const attachmentSchema = z
  .strictObject({
    name: attachmentNameSchema,
    media_type: z.string().max(255).regex(MEDIA_TYPE, 'not a media type').optional(),
    text: text(0, CHARS_MAX).optional(),
    base64: z.base64().max(CHARS_MAX).optional(),
  })
  .superRefine((attachment, context) => {
    const { text: plain, base64 } = attachment
    if ((plain === undefined) === (base64 === undefined))
      context.addIssue({
        code: 'custom',
        message: plain === undefined ? 'send text or base64' : 'send text or base64, not both',
        path: plain === undefined ? [] : ['base64'],
      })
  })
export type Attachment = z.infer<typeof attachmentSchema>

export const attachmentsSchema = z
  .array(attachmentSchema)
  .max(ATTACHMENTS_MAX)
  .superRefine((attachments, context) => {
    const names = new Set<string>()
    for (const [index, { name }] of attachments.entries()) {
      if (names.has(name)) context.addIssue({ code: 'custom', message: 'given more than once', path: [index, 'name'] })
      names.add(name)
    }
  })

/** What is told of an attachment where its content is not: its size is that of the file. */
export const attachmentInfoSchema = z.object({ name: z.string(), media_type: z.string(), bytes: z.int() })
export type AttachmentInfo = z.infer<typeof attachmentInfoSchema>
