import { agentIdSchema, classKeySchema, slugSchema, workspaceIdSchema } from '@muster/contracts'
import type { GateNode } from './gate-config.ts'
import { GateFault } from './gate-fault.ts'

/** The id of a node within the gate's keys. Throws for an id or lane that is not in its form, so no other text reaches a key. */
export const nodeId = (node: GateNode): string => {
  switch (node.kind) {
    case 'workspace':
      return workspaceIdSchema.parse(node.workspaceId)
    case 'agent':
      return agentIdSchema.parse(node.agentId)
    case 'lane':
      return `${agentIdSchema.parse(node.agentId)}/${slugSchema.parse(node.lane)}`
    case 'class':
      return classKeySchema.parse(node.classKey)
  }
}

/** The node that an id of the gate stands for. */
export const parseNodeId = (id: string): GateNode => {
  if (id.startsWith('wsp_')) return { kind: 'workspace', workspaceId: id }
  if (id.startsWith('cls_')) return { kind: 'class', classKey: id }
  const [agentId, lane] = id.split('/')
  if (!agentId?.startsWith('agt_')) throw new GateFault(`not a node of the gate: ${id}`)
  return lane === undefined ? { kind: 'agent', agentId } : { kind: 'lane', agentId, lane }
}
