import { type Fault, RESOURCE_NAMES, type ResourceName, type Resources } from '@muster/contracts'

/** The most of each resource that the operator lets a run have; what is absent is not bounded. */
export type Ceilings = { readonly [Name in ResourceName]?: Resources[Name] | undefined }

/** What of these resources is more than the operator lets a run have, by field. */
export const aboveCeilings = (resources: Readonly<Partial<Resources>>, ceilings: Ceilings): readonly Fault[] =>
  RESOURCE_NAMES.flatMap((name) => {
    const [wanted, most] = [resources[name], ceilings[name]]
    if (wanted === undefined || most === undefined || wanted <= most) return []
    return [
      {
        pointer: `/policy/resources/${name}`,
        detail: `${name} ${wanted} is more than this fleet gives a run, ${most}`,
      },
    ]
  })
