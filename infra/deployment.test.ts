import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { ROUTES } from '@muster/contracts'
import { afterEach, expect, test, vi } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { readConfig as readGateway } from '../apps/gateway/src/config.ts'
import { readConfig as readWorker } from '../apps/worker/src/config.ts'

const root = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const text = z.string()
const texts = z.array(text)
const environmentSchema = z.record(text.regex(/^[A-Z][A-Z0-9_]*$/), text)

const composeService = z.strictObject({
  image: text,
  build: z.strictObject({ context: z.literal('.'), dockerfile: text }).optional(),
  user: text.optional(),
  cap_drop: texts.optional(),
  read_only: z.boolean().optional(),
  tmpfs: texts.optional(),
  restart: z.enum(['no', 'always', 'on-failure', 'unless-stopped']),
  command: texts,
  environment: environmentSchema.optional(),
  security_opt: texts.optional(),
  cgroup: z.enum(['private', 'host']).optional(),
  init: z.boolean().optional(),
  ports: texts.optional(),
  volumes: texts.optional(),
  depends_on: z
    .record(
      text,
      z.strictObject({ condition: z.enum(['service_healthy', 'service_started', 'service_completed_successfully']) }),
    )
    .optional(),
  healthcheck: z
    .strictObject({ test: texts, interval: text, timeout: text, retries: z.int(), start_period: text.optional() })
    .optional(),
  stop_grace_period: text.optional(),
})
const compose = z
  .object({ services: z.record(text, composeService), volumes: z.record(text, z.strictObject({})) })
  .parse(parse(read('docker-compose.yml'), { merge: true }))
const service = (name: string) => composeService.parse(compose.services[name])

/** A value as `docker compose` reads it where the variable is set to `set`, or not at all. */
const interpolate = (value: string, set: Readonly<Record<string, string>>): string =>
  value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind: string | undefined, rest: string) => {
    const given = set[name]
    if (given !== undefined && given !== '') return given
    if (kind === '-') return rest
    throw new Error(`${name} must be set`)
  })
const SET = { MUSTER_ADMIN_TOKEN: 'sixteen-characters-or-more', POSTGRES_PASSWORD: 'letters', REDIS_PASSWORD: 'secret' }
const environmentOf = (name: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(service(name).environment ?? {}).map(([key, value]) => [key, interpolate(value, SET)]),
  )

const KNOWN = {
  gateway: read('apps/gateway/src/config.ts'),
  worker: read('apps/worker/src/config.ts'),
  migrate: `${read('apps/cli/src/config.ts')}${read('apps/gateway/src/config.ts')}`,
}
const knows = (role: keyof typeof KNOWN, variable: string): boolean => new RegExp(`\\b${variable}:`).test(KNOWN[role])
const paths = new Set<string>([...Object.values(ROUTES).map(({ path }) => path), '/metrics'])
const workerPaths = (path: string): boolean =>
  read('packages/runtime/src/start-health-server.ts').includes(`path === '${path}'`)
const seconds = (span: string): number => {
  const [, amount = '', unit = ''] = /^(\d+)(ms|s|m)$/.exec(span) ?? []
  return Number(amount) * ({ ms: 0.001, s: 1, m: 60 }[unit] ?? Number.NaN)
}

const documents = readdirSync(new URL('infra/kubernetes/', root)).flatMap((file) =>
  parseAllDocuments(read(`infra/kubernetes/${file}`)).map((document) => {
    expect(document.errors, file).toEqual([])
    return { file, body: z.looseObject({ apiVersion: text, kind: text }).parse(document.toJS()) }
  }),
)
const probeSchema = z.object({ httpGet: z.object({ path: text, port: text }) })
const containerSchema = z.object({
  name: text,
  image: text,
  args: texts,
  env: z
    .array(
      z.object({
        name: text,
        value: text.optional(),
        valueFrom: z.object({ secretKeyRef: z.object({ name: text, key: text }) }).optional(),
      }),
    )
    .default([]),
  ports: z.array(z.object({ name: text, containerPort: z.int() })).default([]),
  livenessProbe: probeSchema.optional(),
  readinessProbe: probeSchema.optional(),
  securityContext: z.object({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  volumeMounts: z.array(z.object({ name: text, mountPath: text })).default([]),
})
const podSchema = z.object({
  metadata: z
    .object({ annotations: z.record(text, text).default({}), labels: z.record(text, text).default({}) })
    .optional(),
  spec: z.object({
    terminationGracePeriodSeconds: z.int().optional(),
    securityContext: z.object({ runAsNonRoot: z.literal(true), runAsUser: z.int(), runAsGroup: z.int() }).loose(),
    containers: z.tuple([containerSchema]),
  }),
})
const pod = (kind: string, name: RegExp) => {
  const found = documents.find(({ body }) => {
    const { metadata } = z.object({ metadata: z.object({ name: text }).optional() }).parse(body)
    return body.kind === kind && name.test(metadata?.name ?? '')
  })
  return podSchema.parse(z.object({ spec: z.object({ template: z.unknown() }) }).parse(found?.body).spec.template)
}
const PODS = {
  gateway: pod('Deployment', /^muster-gateway$/),
  worker: pod('Deployment', /^muster-worker$/),
  migrate: pod('Job', /^muster-migrate/),
}
const secret = z
  .object({ stringData: z.record(text, text) })
  .parse(documents.find(({ body }) => body.kind === 'Secret')?.body).stringData
const podEnvironment = (role: keyof typeof PODS): Record<string, string> =>
  Object.fromEntries(
    PODS[role].spec.containers[0].env.map(({ name, value, valueFrom }) => [
      name,
      value ?? secret[valueFrom?.secretKeyRef.key ?? ''] ?? '',
    ]),
  )

afterEach(() => vi.unstubAllEnvs())
const ROLES = ['gateway', 'worker', 'migrate'] as const
const USERS = { gateway: 10_002, worker: 10_001, migrate: 10_002 } as const

test.each(ROLES)('the role %s is one that the image starts, as nobody in particular', (role) => {
  const entrypoint = read('infra/docker/entrypoint.sh')
  expect(entrypoint).toMatch(new RegExp(`^ {2}[^#\\n]*\\b${role}\\b[^\\n]*\\) exec node`, 'm'))
  expect(service(role).command).toEqual([role])
  expect(PODS[role].spec.containers[0].args).toEqual([role])
  const user = USERS[role]
  expect(service(role)).toMatchObject({ user: `${user}:${user}`, cap_drop: ['ALL'], read_only: true })
  expect(PODS[role].spec.securityContext).toMatchObject({ runAsUser: user, runAsGroup: user })
  expect(read('infra/docker/Dockerfile')).toContain('USER 10001:10001')
  expect(existsSync(new URL(`apps/${role === 'migrate' ? 'cli' : role}/src/main.ts`, root))).toBe(true)
})

test('an agent uses up nothing that the kernel counts by user and a gateway needs', () => {
  expect(USERS.gateway).not.toBe(USERS.worker)
  const dockerfile = read('infra/docker/Dockerfile')
  for (const user of new Set(Object.values(USERS))) expect(dockerfile).toMatch(new RegExp(`useradd --uid ${user} `))
  // whatever umask the clone was made with, each of these users reads what is in the image
  expect(dockerfile).toMatch(/chmod -R go\+rX \/app\n(?:.*\n)*FROM (?:.*\n)*COPY --from=build \/app \/app/)
  // only workers have folders that belong to a user
  for (const role of ['gateway', 'migrate'] as const) {
    expect(service(role).volumes).toBeUndefined()
    expect(PODS[role].spec.containers[0].volumeMounts.filter(({ name }) => name !== 'tmp')).toEqual([])
  }
})

test.each(ROLES)('%s knows every variable that it is given', (role) => {
  const given = [...Object.keys(service(role).environment ?? {}), ...Object.keys(podEnvironment(role))]
  // what several roles are given together may be news to one that only migrates
  const own = given.filter((variable) => role !== 'migrate' || variable === 'DATABASE_URL')
  for (const variable of own) expect(knows(role, variable), variable).toBe(true)
})

test('gateways and workers take what they are given', () => {
  for (const environment of [environmentOf('gateway'), podEnvironment('gateway')]) {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
    expect(readGateway()).toMatchObject({ host: '0.0.0.0', port: 8080 })
  }
  for (const environment of [environmentOf('worker'), podEnvironment('worker')])
    expect(readWorker(environment)).toMatchObject({
      healthHost: '0.0.0.0',
      healthPort: 9090,
      pools: { bubblewrap: 4 },
      sessionsRoot: '/var/lib/muster/sessions',
    })
})

test('no secret has a default, and the admin token goes to gateways alone', () => {
  for (const variable of ['MUSTER_ADMIN_TOKEN', 'POSTGRES_PASSWORD'])
    expect(read('docker-compose.yml')).not.toMatch(new RegExp(`\\$\\{${variable}(:-|\\})`))
  expect(() => interpolate(service('gateway').environment?.['MUSTER_ADMIN_TOKEN'] ?? '', {})).toThrow('must be set')
  expect(service('worker').environment).not.toHaveProperty('MUSTER_ADMIN_TOKEN')
  expect(podEnvironment('worker')).not.toHaveProperty('MUSTER_ADMIN_TOKEN')
})

test('health checks ask ports and paths that exist', () => {
  for (const [role, port] of [
    ['gateway', 8080],
    ['worker', 9090],
  ] as const) {
    const isPath = (path: string): boolean => (role === 'gateway' ? paths.has(path) : workerPaths(path))
    const asked = new URL(service(role).healthcheck?.test.at(-1) ?? '')
    expect(Number(asked.port)).toBe(port)
    expect(isPath(asked.pathname), asked.pathname).toBe(true)
    const container = PODS[role].spec.containers[0]
    for (const probe of [container.livenessProbe, container.readinessProbe]) {
      expect(isPath(probe?.httpGet.path ?? ''), probe?.httpGet.path).toBe(true)
      expect(container.ports.find(({ name }) => name === probe?.httpGet.port)?.containerPort).toBe(port)
    }
    const annotations = PODS[role].metadata?.annotations ?? {}
    expect(annotations['prometheus.io/port']).toBe(String(port))
    expect(isPath(annotations['prometheus.io/path'] ?? '')).toBe(true)
    expect(read('infra/docker/Dockerfile')).toMatch(new RegExp(`EXPOSE .*\\b${port}\\b`))
  }
  for (const file of service('worker').healthcheck?.test.filter((word) => word.includes('/docker/')) ?? [])
    expect(existsSync(new URL(file, root))).toBe(true)
})

test('a drain is over before the container is killed', () => {
  const drain = (environment: Record<string, string>) => Number(environment['MUSTER_DRAIN_MAX_MS']) / 1000
  expect(seconds(service('worker').stop_grace_period ?? '')).toBeGreaterThan(drain(environmentOf('worker')))
  expect(PODS.worker.spec.terminationGracePeriodSeconds).toBeGreaterThan(drain(podEnvironment('worker')))
  const FINISH =
    Number(/FINISH_MS = ([\d_]+)/.exec(read('apps/gateway/src/start-gateway.ts'))?.[1]?.replaceAll('_', '')) / 1000
  expect(seconds(service('gateway').stop_grace_period ?? '')).toBeGreaterThan(FINISH)
  expect(PODS.gateway.spec.terminationGracePeriodSeconds).toBeGreaterThan(FINISH + 5)
})

test('Redis keeps what it is given, and workers can be scaled and share their folders', () => {
  expect(service('redis').command.join(' ')).toContain('--maxmemory-policy noeviction')
  expect(service('redis').command.join(' ')).toContain('--appendonly yes')
  expect(service('redis').command.join(' ')).toContain('--requirepass ${REDIS_PASSWORD')
  expect(environmentOf('worker')['REDIS_URL']).toBe('redis://:secret@redis:6379')
  const raw = z
    .object({ services: z.record(text, z.looseObject({})) })
    .parse(parse(read('docker-compose.yml'), { merge: true }))
  expect(raw.services['worker']).not.toHaveProperty('container_name')
  expect(service('worker')).not.toHaveProperty('ports')
  const folder = environmentOf('worker')['MUSTER_SESSIONS_ROOT']
  expect(service('worker').volumes).toContain(`sessions:${folder}`)
  expect(compose.volumes).toHaveProperty('sessions')
  const mounted = PODS.worker.spec.containers[0].volumeMounts.find(({ name }) => name === 'sessions')?.mountPath
  expect(mounted).toBe(podEnvironment('worker')['MUSTER_SESSIONS_ROOT'])
  expect(JSON.stringify(documents.find(({ body }) => body.kind === 'PersistentVolumeClaim')?.body)).toContain(
    'ReadWriteMany',
  )
})

test('what bubblewrap needs is lifted for workers alone', () => {
  for (const need of ['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined']) {
    expect(service('worker').security_opt).toContain(need)
    expect(service('gateway').security_opt).not.toContain(need)
  }
  expect(JSON.stringify(compose)).not.toContain('privileged')
  expect(PODS.worker.spec.securityContext).toMatchObject({ seccompProfile: { type: 'Unconfined' } })
  expect(PODS.gateway.spec.securityContext).toMatchObject({ seccompProfile: { type: 'RuntimeDefault' } })
})

test('migrations are done before anybody serves', () => {
  for (const role of ['gateway', 'worker'])
    expect(service(role).depends_on?.['migrate']).toEqual({ condition: 'service_completed_successfully' })
  expect(service('migrate').depends_on?.['postgres']).toEqual({ condition: 'service_healthy' })
})

test('KEDA asks the gateway for a number, and each deployment survives a disruption', () => {
  const scale = z
    .object({
      spec: z.object({
        scaleTargetRef: z.object({ name: z.literal('muster-worker') }),
        minReplicaCount: z.int().min(1),
        triggers: z.tuple([
          z.object({
            type: z.literal('metrics-api'),
            metadata: z.object({ url: z.url(), valueLocation: text, authMode: z.literal('bearer') }),
            authenticationRef: z.object({ name: text }),
          }),
        ]),
      }),
    })
    .parse(documents.find(({ body }) => body.kind === 'ScaledObject')?.body)
  const { url, valueLocation } = scale.spec.triggers[0].metadata
  expect(new URL(url)).toMatchObject({ pathname: ROUTES.getScale.path, port: '8080' })
  expect(valueLocation).toMatch(/^pools\.(bubblewrap|runc|gvisor|none)\.desired_workers$/)
  const budgets = documents.filter(({ body }) => body.kind === 'PodDisruptionBudget')
  expect(
    budgets.map(({ body }) => z.object({ metadata: z.object({ name: text }) }).parse(body).metadata.name).toSorted(),
  ).toEqual(['muster-gateway', 'muster-worker'])
})

test('nobody is told that Postgres is there while an empty volume is still being set up', () => {
  // The image's passing server listens at a socket only.
  expect(service('postgres').healthcheck?.test).toContain('--host=127.0.0.1')
})

test('what compose reads its secrets from does not become part of the image', () => {
  expect(read('.dockerignore').split('\n')).toContain('.env*')
})

test('every manifest is applied or said to be an example', () => {
  const { resources } = z.object({ resources: texts }).parse(parse(read('infra/kubernetes/kustomization.yaml')))
  const files = readdirSync(new URL('infra/kubernetes/', root)).filter(
    (file) => !file.startsWith('kustomization') && !file.includes('.example.'),
  )
  expect(resources.toSorted()).toEqual(files.toSorted())
})

test('Prometheus scrapes the ports that are served', () => {
  const jobs = z
    .object({
      scrape_configs: z.array(
        z.object({ dns_sd_configs: z.tuple([z.object({ names: z.tuple([text]), port: z.int() })]) }),
      ),
    })
    .parse(parse(read('infra/prometheus/prometheus.yml')))
  const ports = jobs.scrape_configs.map(({ dns_sd_configs: [{ names, port }] }) => [names[0], port])
  expect(ports).toEqual([
    ['gateway', 8080],
    ['worker', 9090],
  ])
})
