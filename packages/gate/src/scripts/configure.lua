-- include: opening node tree run admit
-- Promise: each node has the newest configuration it was ever given; an older or equal version changes nothing. What has started runs on.
-- ARGV[3]: {entries: [{node, limit, weight, paused, version}]}, all text; limit '' for none, paused '0' or '1'
-- Reply: see admit_and_reply; the result is [applied].
if not warm then return { 'cold' } end
local applied = 0
for _, entry in ipairs(ask.entries) do
  local key = data .. 'c:' .. entry.node
  if tonumber(entry.version) > tonumber(redis.call('HGET', key, 'version') or '-1') then
    applied = applied + 1
    local node = known(entry.node)
    if node then
      accrue(node)
      configured(node, entry.limit, entry.weight, entry.paused)
    end
    redis.call('HSET', key, 'limit', entry.limit, 'weight', entry.weight, 'paused', entry.paused, 'version', entry.version)
    if node then ripple(node) end
  end
end
return admit_and_reply({ applied })
