-- Keeps what every node knows of its children, and of itself, equal to what its children are. Needs path.lua and writes.lua.

-- The parent of a child that enters or leaves a pool counts it. The entry of a child that was alone may lag: it is read before it has a
-- rival.
local met = {}
local function count(node, i, by)
  counts_of(node)[i] = by == 1 and 1 or 0
  local parent = node.p ~= '*' and known(node.p)
  if not parent then return end
  local key = data .. 'e:' .. POOLS[i] .. ':' .. node.p
  if by == 1 and parent.stored_c[CHILDREN + i] == 1 and not met[key] then
    met[key] = true
    local member = redis.call('ZRANGE', key, 0, 0)[1]
    local other = member and known(string.sub(member, 9))
    if other then other.touched = true end
  end
  local c = counts_of(parent)
  c[CHILDREN + i], parent.touched = c[CHILDREN + i] + by, true
end

-- Whether the node, not being blocked, is eligible in the pool: 1 or 0.
local function wanted(node, i)
  if node.pool then return node.w > 0 and node.pool == POOLS[i] and 1 or 0 end
  return node.c[CHILDREN + i] > 0 and 1 or 0
end

-- Brings what is known of the node up to date; one that enters a pool, eligible or with a slot, starts there no earlier than who is there.
-- Answers whether it entered or left a pool. Where its slots have changed, `slots_in` is their pool, and `lived` whether it was living there
-- before.
local function refresh(node, slots_in, lived)
  local open, moved = not blocked(node), false
  for i = 1, N do
    local was = is_living(node, i)
    if i == slots_in then was = lived end
    local want = open and wanted(node, i) or 0
    local is = want == 1 or node.c[SLOTS + i] > 0
    if is and not was then
      counts_of(node)[TAG + i] = math.max(node.c[TAG + i], least_living(i, node.p, node.id) or 0)
      redis.call('ZADD', data .. 'l:' .. POOLS[i] .. ':' .. node.p, plain(node.c[TAG + i]), node.id)
    elseif was and not is then
      redis.call('ZREM', data .. 'l:' .. POOLS[i] .. ':' .. node.p, node.id)
    end
    if want ~= node.c[i] then
      moved = true
      count(node, i, want == 1 and 1 or -1)
    end
  end
  node.touched = true
  return moved
end

-- Adds to the slots used and the runs waiting of a class and of all above it, and to its pool's. What a node is to its parent changes only
-- where its first run waits or its last one no longer does, a limit is met or left, a slot is its first in the pool or was its last, or its
-- child moved.
local function shift(class, used, waiting)
  local moved, i = (class.w > 0) ~= (class.w + waiting > 0), number_of[class.pool]
  for _, node in ipairs(path_of(class)) do
    local lived = is_living(node, i)
    if used ~= 0 then
      local was_blocked, had = blocked(node), node.c[SLOTS + i]
      accrue(node)
      node.u = math.max(0, node.u + used)
      counts_of(node)[SLOTS + i] = math.max(0, had + used)
      moved = moved or blocked(node) ~= was_blocked or (node.c[SLOTS + i] > 0) ~= (had > 0)
    end
    node.w = math.max(0, node.w + waiting)
    node.touched = true
    moved = moved and refresh(node, i, lived)
  end
  if used ~= 0 then add_pool(USED, class.pool, used) end
  if waiting ~= 0 then add_pool(QUEUED, class.pool, waiting) end
end

-- Refreshes a node and all above it after its configuration changed.
local function ripple(node)
  while node and refresh(node) do node = node.p ~= '*' and known(node.p) end
end
