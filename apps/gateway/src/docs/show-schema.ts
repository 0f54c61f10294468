import { escapeHtml } from '../http/escape-html.ts'
import type { SchemaNode } from './api-schema.ts'

const DEEP = 5

/** A schema as HTML: its type in words, and its fields as a list that can be opened. */
export const showSchema = (schema: SchemaNode): string => `${typeOf(schema)}${presetOf(schema)}${fieldsOf(schema, 0)}`

const presetOf = ({ default: preset }: SchemaNode): string =>
  preset === undefined ? '' : ` <small>default ${code(preset)}</small>`

function typeOf(schema: SchemaNode): string {
  const { $ref } = schema
  if ($ref !== undefined) {
    const name = escapeHtml($ref.split('/').at(-1) ?? $ref)
    return `<a href="#schema-${name}">${name}</a>`
  }
  if (schema.const !== undefined) return code(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(code).join(' | ')
  const variants = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (variants !== undefined)
    return [...new Set(variants.map(typeOf))].join(schema.allOf === undefined ? ' | ' : ' &amp; ')
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}${boundsOf(schema)}`
  const values = valuesOf(schema)
  if (values !== null) return `<i>object</i> of ${typeOf(values)} by name${named(schema.propertyNames)}`
  const { type } = schema
  const name = type === undefined ? 'any JSON' : typeof type === 'string' ? type : type.join(' | ')
  return `<i>${escapeHtml(name)}</i>${boundsOf(schema)}`
}

const code = (value: unknown): string => `<code>${escapeHtml(JSON.stringify(value))}</code>`

/** What the fields of an object hold whose names its users choose. */
const valuesOf = ({ properties, additionalProperties }: SchemaNode): SchemaNode | null =>
  properties === undefined && typeof additionalProperties === 'object' && Object.keys(additionalProperties).length > 0
    ? additionalProperties
    : null

const named = (names: SchemaNode | undefined): string => (names === undefined ? '' : boundsOf(names))

function boundsOf(schema: SchemaNode): string {
  const { minimum, exclusiveMinimum, maximum, minLength, maxLength, minItems, maxItems, format, pattern } = schema
  const bounds: string[] = []
  if (format !== undefined) bounds.push(format)
  if (minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER) bounds.push(`≥ ${minimum}`)
  if (exclusiveMinimum !== undefined) bounds.push(`> ${exclusiveMinimum}`)
  if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) bounds.push(`≤ ${maximum}`)
  if (maxLength !== undefined) bounds.push(`${minLength ?? 0} to ${maxLength} characters`)
  else if (minLength !== undefined) bounds.push(`at least ${minLength} characters`)
  if (minItems !== undefined) bounds.push(`at least ${minItems}`)
  if (maxItems !== undefined) bounds.push(`at most ${maxItems}`)
  if (pattern !== undefined && format === undefined && pattern.length <= 80) bounds.push(pattern)
  return bounds.length === 0 ? '' : ` <small>${escapeHtml(bounds.join(', '))}</small>`
}

function fieldsOf(schema: SchemaNode, depth: number): string {
  if (depth >= DEEP || schema.$ref !== undefined) return ''
  if (schema.items !== undefined) return fieldsOf(schema.items, depth + 1)
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  if (inner.length > 0) return inner.map((each) => fieldsOf(each, depth + 1)).join('')
  const values = valuesOf(schema)
  if (values !== null) return fieldsOf(values, depth + 1)
  const properties = Object.entries(schema.properties ?? {})
  if (properties.length === 0) return ''
  const required = new Set(schema.required ?? [])
  const items = properties.map(([name, field]) => {
    const must = required.has(name) ? '' : ' <small>optional</small>'
    const told = field.description === undefined ? '' : ` ${escapeHtml(field.description)}`
    return `<li><code>${escapeHtml(name)}</code>${must} ${typeOf(field)}${presetOf(field)}${told}${fieldsOf(field, depth + 1)}</li>`
  })
  const list = `<ul>${items.join('')}</ul>`
  return depth === 0 ? list : `<details><summary>fields</summary>${list}</details>`
}
