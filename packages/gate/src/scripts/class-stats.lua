-- include: opening
-- Promise: each class' slots in use, runs waiting for one, and since when the run at its head waits. Changes nothing.
-- ARGV[3]: {classes: [class]}
-- Reply: 'warm', [running, waiting, head queued at (ms) or '', ...]
if not warm then return { 'cold' } end
local found = {}
for _, id in ipairs(ask.classes) do
  local v = redis.call('HMGET', data .. 'n:' .. id, 'u', 'w')
  local head = redis.call('ZRANGE', data .. 'b:' .. id, 0, 0)[1]
  found[#found + 1] = v[1] or '0'
  found[#found + 1] = v[2] or '0'
  found[#found + 1] = head and redis.call('HGET', data .. 'r:' .. head, 'q') or ''
end
return { 'warm', found }
