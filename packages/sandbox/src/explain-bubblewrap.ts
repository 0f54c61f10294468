/** Adds to a complaint of bubblewrap what an operator can do about it. */
export function explainBubblewrap(complaint: string): string {
  if (/new namespace|uid map|setting up loopback|Operation not permitted|Permission denied/i.test(complaint)) {
    return `${complaint}. This host refuses user namespaces to ordinary programs: see kernel.unprivileged_userns_clone, user.max_user_namespaces and AppArmor's restriction of user namespaces`
  }
  if (/Unknown option/.test(complaint)) return `${complaint}. bubblewrap 0.8 or newer is needed`
  return complaint
}
