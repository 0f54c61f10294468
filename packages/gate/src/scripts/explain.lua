-- include: opening record node path
-- Promise: why a run that the gate knows has not started. O(log n). Changes nothing.
-- ARGV[3]: {run}
-- Reply: 'warm', and when the run is known: [state, pool, rank or '', not before or '', queued at or '', head queued at or '', capacity,
-- pool used, now], [node, used, limit or '', paused, waiting, ...] from the workspace down
if not warm then return { 'cold' } end
local run = run_of(ask.run)
if not run then return { 'warm' } end
read_paths({ run.c })
local class = known(run.c)
local rank = redis.call('ZRANK', data .. 'b:' .. class.id, ask.run)
local head = redis.call('ZRANGE', data .. 'b:' .. class.id, 0, 0)[1]
local since = head and run_of(head).q or ''
local capacity, used = pool_number(CAPACITY, class.pool), pool_number(USED, class.pool)
local facts = { run.s, class.pool, rank and plain(rank) or '', run.nb, run.q, since, plain(capacity), plain(used), plain(now_ms) }
local path, found = path_of(class), {}
for k = #path, 1, -1 do
  local node = path[k]
  local limit = node.lim and plain(node.lim) or ''
  for _, value in ipairs({ node.id, plain(node.u), limit, node.off and '1' or '0', plain(node.w) }) do found[#found + 1] = value end
end
return { 'warm', facts, found }
