-- include: opening record node path
-- Promise: each class' slots in use, runs waiting for one, and since when the run at its head waits. Changes nothing.
-- ARGV[3]: {classes: [class]}
-- Reply: 'warm', [running, waiting, head queued at (ms) or '', ...]
if not warm then return { 'cold' } end
local found = {}
read_nodes(ask.classes)
for _, id in ipairs(ask.classes) do
  local class = known(id)
  local head = redis.call('ZRANGE', data .. 'b:' .. id, 0, 0)[1]
  found[#found + 1] = plain(class and class.u or 0)
  found[#found + 1] = plain(class and class.w or 0)
  found[#found + 1] = head and run_of(head).q or ''
end
return { 'warm', found }
