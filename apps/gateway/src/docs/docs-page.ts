import type { JsonObject } from '@muster/contracts'
import { escapeHtml } from '../http/escape-html.ts'
import { apiSchema, type Operation } from './api-schema.ts'
import { showSchema } from './show-schema.ts'

const STYLE = `:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { margin: 0; display: grid; grid-template-columns: minmax(13rem, 18rem) minmax(0, 60rem); gap: 2rem }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1rem; box-sizing: border-box; border-right: 1px solid #8884; font-size: .9rem }
nav ul { list-style: none; padding: 0; margin: 0 } nav a { text-decoration: none }
main { padding: 1rem 1rem 6rem } section { border-top: 1px solid #8884; padding: .5rem 0 1rem }
h3 code { font-size: 1rem } ul { padding-left: 1.2rem } small { opacity: .75 }
.method { display: inline-block; min-width: 3.6rem; font-weight: 600 }
table { border-collapse: collapse } th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 }
@media (max-width: 50rem) { body { display: block } nav { position: static; height: auto } }`

/** The API document as one page to read: no script, nothing from elsewhere. */
export function docsPage(document: JsonObject): string {
  const api = apiSchema.parse(document)
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const byTag = Map.groupBy(operations, ({ operation }) => operation.tags[0] ?? 'other')
  const title = `${api.info.title} ${api.info.version}`
  const schemas = Object.entries(api.components.schemas)
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}: the API</title><style>${STYLE}</style></head><body><nav><strong>${escapeHtml(title)}</strong>
${[...byTag].map(([tag, own]) => `<p>${escapeHtml(tag)}</p><ul>${own.map(({ operation }) => link(operation)).join('')}</ul>`).join('')}
<p>schemas</p><ul>${schemas.map(([name]) => `<li><a href="#schema-${escapeHtml(name)}">${escapeHtml(name)}</a></li>`).join('')}</ul></nav>
<main><h1>${escapeHtml(title)}</h1><p>${inline(api.info.description)} The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>
<h2>Signing in</h2><ul>${Object.entries(api.components.securitySchemes)
    .map(([name, scheme]) => `<li><b>${escapeHtml(name)}</b> ${inline(scheme.description)}</li>`)
    .join('')}</ul>
${[...byTag].map(([tag, own]) => `<h2>${escapeHtml(tag)}</h2>${own.map(section).join('')}`).join('')}
<h2>schemas</h2>${schemas
    .map(
      ([name, schema]) =>
        `<section id="schema-${escapeHtml(name)}"><h3>${escapeHtml(name)}</h3>${showSchema(schema)}</section>`,
    )
    .join('')}</main></body></html>`
}

const link = ({ operationId, summary }: Operation): string =>
  `<li><a href="#${escapeHtml(operationId)}" title="${escapeHtml(summary)}">${escapeHtml(operationId)}</a></li>`

/** Text in which backquotes mark code. */
const inline = (text: string): string => escapeHtml(text).replaceAll(/`([^`]*)`/g, '<code>$1</code>')

function section({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const { operationId, summary, security, parameters, requestBody, responses } = operation
  const access = security.flatMap((each) => Object.keys(each)).join(' or ')
  return `<section id="${escapeHtml(operationId)}"><h3><span class="method">${method}</span> <code>${escapeHtml(path)}</code></h3>
<p>${inline(summary)}. <small>${access === '' ? 'Open to anyone' : `Needs ${escapeHtml(access)}`}</small></p>
${parameters.length === 0 ? '' : `<table><tbody>${parameters.map(parameter).join('')}</tbody></table>`}
${requestBody === undefined ? '' : `<h4>Body</h4>${bodies(requestBody.content)}`}
<h4>Answers</h4><ul>${Object.entries(responses)
    .map(([status, { description, content, headers }]) => {
      const told = Object.entries(headers ?? {}).map(([name, header]) => `${name}: ${header.description ?? ''}`)
      const more = told.length === 0 ? '' : `<br><small>${escapeHtml(told.join('; '))}</small>`
      const inside = content === undefined ? '' : `<details><summary>body</summary>${bodies(content)}</details>`
      return `<li><b>${escapeHtml(status)}</b> ${inline(description)}${more}${inside}</li>`
    })
    .join('')}</ul></section>`
}

const parameter = ({ name, in: place, required, description, schema }: Operation['parameters'][number]): string =>
  `<tr><td><code>${escapeHtml(name)}</code><td><small>${escapeHtml(place)}${required === true ? '' : ', optional'}</small><td>${showSchema(schema)} ${inline(description ?? schema.description ?? '')}</tr>`

const bodies = (content: NonNullable<Operation['requestBody']>['content']): string =>
  Object.entries(content)
    .map(
      ([type, { schema }]) =>
        `<p><small>${escapeHtml(type)}</small> ${showSchema(schema)} ${type.includes('json') ? '' : inline(schema.description ?? '')}</p>`,
    )
    .join('')
