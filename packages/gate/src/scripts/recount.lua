-- include: opening record node path
-- Promise: counts the slots of every node and pool anew and names those whose number differs or exceeds the limit. O(slots): operators
-- only. Changes nothing.
-- ARGV[3]: {}
-- Reply: 'warm', number of slots, [node or pool, 'node' or 'pool', used, counted, limit or '', ...]
if not warm then return { 'cold' } end
local counted, pool_counted, found = {}, {}, {}
local function report(id, kind, used, count, limit)
  if used == count and not (limit and used > limit) then return end
  for _, value in ipairs({ id, kind, plain(used), plain(count), limit and plain(limit) or '' }) do found[#found + 1] = value end
end
local ids = redis.call('ZRANGE', data .. 'slots', 0, -1)
read_runs(ids)
local classes = {}
for k, id in ipairs(ids) do classes[k] = run_of(id).c end
read_paths(classes)
for _, id in ipairs(ids) do
  local class = known(run_of(id).c)
  if class then
    for _, node in ipairs(path_of(class)) do counted[node.id] = (counted[node.id] or 0) + 1 end
    pool_counted[class.pool] = (pool_counted[class.pool] or 0) + 1
  end
end
-- Whatever holds a slot is living: this finds the nodes that count slots which are nowhere.
local function living(pool, parent)
  for _, id in ipairs(redis.call('ZRANGE', data .. 'l:' .. pool .. ':' .. parent, 0, -1)) do
    counted[id] = counted[id] or 0
    living(pool, id)
  end
end
for _, pool in ipairs(POOLS) do living(pool, '*') end
for id, count in pairs(counted) do
  local node = known(id)
  report(id, 'node', node and node.u or 0, count, node and node.lim)
end
for _, pool in ipairs(POOLS) do
  report(pool, 'pool', pool_number(USED, pool), pool_counted[pool] or 0, pool_number(CAPACITY, pool))
end
return { 'warm', #ids, found }
