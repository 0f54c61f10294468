-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: each node has the newest configuration it was ever given; an older or equal version changes nothing. What has started runs on.
-- ARGV[3]: {entries: [{node, limit, weight, paused, version}]}, all text; limit '' for none, paused '0' or '1'
-- Reply: see admit_and_reply; the result is [applied].
if not warm then return { 'cold' } end
local applied = 0
local ids = pluck(ask.entries, 'node')
read_nodes(ids)
each_field(data .. 'c', ids, keep_configuration)
for _, entry in ipairs(ask.entries) do
  if tonumber(entry.version) > tonumber(configurations[entry.node][4] or '-1') then
    applied = applied + 1
    local packed = cmsgpack.pack({ entry.limit, entry.weight, entry.paused, entry.version })
    keep_configuration(entry.node, packed)
    hset('c', entry.node, packed)
    local node = known(entry.node)
    if node then
      accrue(node)
      configured(node, entry.limit, entry.weight, entry.paused)
      ripple(node)
    end
  end
end
return admit_and_reply({ applied })
