import type { IdKind } from '@muster/contracts'
import { idPattern } from '@muster/contracts'
import { AppError } from '@muster/core'
import type { Page, PageRequest } from '@muster/store'

const NUMBER = /^[1-9]\d{0,9}$/
const NUMBER_MAX = 2_147_483_647
const CLASS = /^cls_[0-9a-z]{32}$/

/** What the keys of a list look like. */
type KeyForm = IdKind | 'number' | 'class'

const fits = (key: string, form: KeyForm): boolean =>
  form === 'number'
    ? NUMBER.test(key) && Number(key) <= NUMBER_MAX
    : (form === 'class' ? CLASS : idPattern(form)).test(key)

/** Reads a page's query; throws `invalid_request` for a cursor that no list of this kind gave. */
export function pageRequest(
  query: { readonly limit: number; readonly cursor?: string | undefined },
  form: KeyForm,
): PageRequest {
  if (query.cursor === undefined) return { limit: query.limit, before: null }
  const before = Buffer.from(query.cursor, 'base64url').toString('latin1')
  if (!fits(before, form) || cursorOf(before) !== query.cursor) {
    const faults = [{ pointer: 'query/cursor', detail: 'not a cursor of this list' }]
    throw new AppError('invalid_request', 'query/cursor: not a cursor of this list', { faults })
  }
  return { limit: query.limit, before }
}

const cursorOf = (key: string): string => Buffer.from(key, 'latin1').toString('base64url')

/** The fields of a page's answer. */
export const pageFields = <Item>(
  page: Page<Item>,
): { data: Item[]; next_cursor: string | null; has_more: boolean } => ({
  data: [...page.items],
  next_cursor: page.next === null ? null : cursorOf(page.next),
  has_more: page.next !== null,
})
