import type { GateNode } from '@muster/gate'

/** A node of the tree in words, with its id. */
export function nameNode(node: GateNode): string {
  switch (node.kind) {
    case 'workspace':
      return `workspace ${node.workspaceId}`
    case 'agent':
      return `agent ${node.agentId}`
    case 'lane':
      return `lane ${node.agentId}/${node.lane}`
    case 'class':
      return `class ${node.classKey}`
  }
}
