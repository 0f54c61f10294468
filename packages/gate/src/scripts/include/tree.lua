-- Keeps what every node knows of its children, and of itself, equal to what its children are. Needs path.lua and writes.lua.

-- A node's own numbers by pool, to be changed; those that it had are kept for the flush.
local function counts_of(node)
  if node.c == node.stored_c then node.c = { unpack(node.c, 1, 2 * N) } end
  return node.c
end

-- The parent of a child that enters or leaves a pool counts it. The entry of a child that was alone may lag: it is read before it has a
-- rival.
local met = {}
local function count(node, i, by)
  counts_of(node)[i] = by == 1 and 1 or 0
  local parent = node.p ~= '*' and known(node.p)
  if not parent then return end
  local key = data .. 'e:' .. POOLS[i] .. ':' .. node.p
  if by == 1 and parent.stored_c[N + i] == 1 and not met[key] then
    met[key] = true
    local member = redis.call('ZRANGE', key, 0, 0)[1]
    local other = member and known(string.sub(member, 9))
    if other then other.touched = true end
  end
  local c = counts_of(parent)
  c[N + i], parent.touched = c[N + i] + by, true
end

-- Whether the node, not being blocked, is eligible in the pool: 1 or 0.
local function wanted(node, i)
  if node.pool then return node.w > 0 and node.pool == POOLS[i] and 1 or 0 end
  return node.c[N + i] > 0 and 1 or 0
end

-- Brings what is known of the node up to date. Answers whether it entered or left a pool.
local function refresh(node)
  local open, c = not blocked(node), node.c
  local was, is, moved = false, false, false
  for i = 1, N do
    local want = open and wanted(node, i) or 0
    if c[i] == 1 then was = true end
    if want == 1 then is = true end
    if want ~= c[i] then moved = true end
  end
  if moved then
    if is and not was and node.u == 0 then node.t = math.max(node.t, least_living(node.p, node.id) or 0) end
    for i = 1, N do
      local want = open and wanted(node, i) or 0
      if want ~= node.c[i] then count(node, i, want == 1 and 1 or -1) end
    end
  end
  local living = is or node.u > 0
  if living and not node.living then
    redis.call('ZADD', data .. 'l:' .. node.p, plain(node.t), node.id)
  elseif node.living and not living then
    redis.call('ZREM', data .. 'l:' .. node.p, node.id)
  end
  node.living, node.touched = living, true
  return moved
end

-- Adds to the slots used and the runs waiting of a class and of all above it, and to its pool's. What a node is to its parent changes only
-- where its first run waits or its last one no longer does, a limit is met or left, a slot is its first or was its last, or its child moved.
local function shift(class, used, waiting)
  local moved = (class.w > 0) ~= (class.w + waiting > 0)
  for _, node in ipairs(path_of(class)) do
    if used ~= 0 then
      local was_blocked, had = blocked(node), node.u > 0
      accrue(node)
      node.u = math.max(0, node.u + used)
      moved = moved or blocked(node) ~= was_blocked or (node.u > 0) ~= had
    end
    node.w = math.max(0, node.w + waiting)
    node.touched = true
    moved = moved and refresh(node)
  end
  if used ~= 0 then add_pool(USED, class.pool, used) end
  if waiting ~= 0 then add_pool(QUEUED, class.pool, waiting) end
end

-- Refreshes a node and all above it after its configuration changed.
local function ripple(node)
  while node and refresh(node) do node = node.p ~= '*' and known(node.p) end
end
