-- include: opening record node
-- Promise: how many waiting runs of each pool could start if the pool had slots without end: what a limit or a pause on their path holds
-- back does not count. At most LOOK_MAX nodes of a pool are looked at; a branch beyond counts as the one run that it has at least.
-- Each pool by itself: where two share a limit, both count what it leaves. Changes nothing.
-- ARGV[3]: {}
-- Reply: 'warm', [pool, startable, ...]
if not warm then return { 'cold' } end
local looks

local function below(pool, id)
  local key = data .. 'e:' .. pool .. ':' .. id
  local children = redis.call('ZRANGE', key, 0, math.max(looks, 1) - 1)
  looks = looks - #children
  local sum = redis.call('ZCARD', key) - #children
  for _, member in ipairs(children) do
    local node = known(string.sub(member, 9))
    local some = node.pool and node.w or (looks > 0 and below(pool, node.id) or 1)
    sum = sum + (node.lim and math.min(some, node.lim - node.u) or some)
  end
  return sum
end

local found = {}
for _, pool in ipairs(POOLS) do
  looks = LOOK_MAX
  found[#found + 1] = pool
  found[#found + 1] = plain(below(pool, '*'))
end
return { 'warm', found }
