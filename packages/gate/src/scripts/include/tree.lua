-- Keeps what every node knows of its children, and the ordering sets, equal to what its children are. Needs path.lua and writes.lua.

-- Whether there is something to give below the node in the pool, its own limit and pause aside.
local function supplied(node, pool)
  if node.pool then return node.pool == pool and node.w > 0 end
  return (node.k[pool] or 0) > 0
end

-- The parent of a child that enters or leaves counts it. An entry that was alone may lag: its node is read before it has a rival.
local function count(node, pool, by)
  local parent = node.p ~= '*' and known(node.p)
  if not parent then return end
  if by > 0 and parent.had[pool] == 1 then
    local member = redis.call('ZRANGE', data .. 'e:' .. pool .. ':' .. node.p, 0, 0)[1]
    local other = member and known(string.sub(member, 9))
    if other then other.touched = true end
    parent.had[pool] = 0
  end
  parent.k[pool], parent.touched = (parent.k[pool] or 0) + by, true
end

-- Brings what is known of the node up to date. Answers whether it entered or left a pool.
local function refresh(node)
  local closed, want, eligible, moved = blocked(node), {}, false, false
  for _, pool in ipairs(POOLS) do
    if not closed and supplied(node, pool) then want[pool], eligible = true, true end
    if want[pool] ~= node.e[pool] then moved = true end
  end
  if eligible and node.u == 0 and next(node.e) == nil then
    node.t = math.max(node.t, least_living(node.p, node.id) or 0)
  end
  if moved then
    for _, pool in ipairs(POOLS) do
      if want[pool] ~= node.e[pool] then count(node, pool, want[pool] and 1 or -1) end
    end
    node.e = want
  end
  local living = eligible or node.u > 0
  if living and not node.living then
    redis.call('ZADD', data .. 'l:' .. node.p, plain(node.t), node.id)
  elseif node.living and not living then
    redis.call('ZREM', data .. 'l:' .. node.p, node.id)
  end
  node.living, node.touched = living, true
  return moved
end

-- Adds to the slots used and the runs waiting of a class and of all above it, and to its pool's.
local function shift(class, used, waiting)
  for _, node in ipairs(path_of(class)) do
    if used ~= 0 then accrue(node) end
    node.u = math.max(0, node.u + used)
    node.w = math.max(0, node.w + waiting)
    refresh(node)
  end
  if used ~= 0 then add_pool('used', class.pool, used) end
  if waiting ~= 0 then add_pool('queued', class.pool, waiting) end
end

-- Refreshes a node and all above it after its configuration changed.
local function ripple(node)
  while node and refresh(node) do node = node.p ~= '*' and known(node.p) end
end
