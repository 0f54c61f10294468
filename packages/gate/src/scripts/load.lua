-- include: opening record node path writes tree flush run
-- Promise: a gate of the new epoch with this configuration, these started slots and capacities, and nothing waiting. It begins in a
-- namespace of its own. Refused for an epoch that this gate has seen, warm or not: a late or second copy of a load changes nothing.
-- ARGV[3]: {epoch, entries: see configure.lua, holdings: see restore.lua, capacities: see set-capacities.lua}
-- Reply: 'loaded' or 'refused'
if meta[3] and ask.epoch <= epoch then return { 'refused' } end
epoch, counter = ask.epoch, 0
for _, pool in ipairs(POOLS) do pools[pool] = { 0, 0, 0, 0 } end
data = fleet .. plain(epoch) .. ':'
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', plain(epoch))
for _, entry in ipairs(ask.entries) do
  local packed = cmsgpack.pack({ entry.limit, entry.weight, entry.paused, entry.version })
  keep_configuration(entry.node, packed)
  hset('c', entry.node, packed)
end
read_runs(pluck(ask.holdings, 'run'))
read_places(ask.holdings)
for _, h in ipairs(ask.holdings) do
  if not run_of(h.run) then hold(h) end
end
for _, pool in ipairs(POOLS) do set_pool(CAPACITY, pool, ask.capacities[pool] or 0) end
flush()
-- warm from here on: were anything before to fail, the gate is cold, and of an epoch that was seen
redis.call('HSET', KEYS[1], 'format', FORMAT, 'run_id', ARGV[1])
return { 'loaded' }
