export type SandboxFolders = { readonly agent: string; readonly attachments: string; readonly workspace: string }

/** Where a program finds its folders, by the same names in every runtime, so that it need not know which one it runs in. */
export function folderVariables(folders: SandboxFolders): Record<string, string> {
  return {
    MUSTER_AGENT_FOLDER: folders.agent,
    MUSTER_ATTACHMENTS_FOLDER: folders.attachments,
    MUSTER_WORKSPACE_FOLDER: folders.workspace,
  }
}
