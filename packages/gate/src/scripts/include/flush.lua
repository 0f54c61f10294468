-- Writes what a script changed. Needs tree.lua.

local function member(tag, node) return struct.pack('>d', tag) .. node.id end

-- Whether the node was and is eligible in one pool and the same, and has no sibling there: its entry need not be exact.
local function is_alone(node)
  local parent, pool = nodes[node.p], nil
  if not parent then return false end
  for i = 1, N do
    if node.c[i] ~= node.stored_c[i] then return false end
    if node.c[i] == 1 then
      if pool then return false end
      pool = i
    end
  end
  return pool and parent.c[CHILDREN + pool] == 1
end

local function order(node)
  if is_alone(node) then return end
  local height, c = level(node), node.c
  for i = 1, N do
    local has, wants, same = node.stored_c[i] == 1, c[i] == 1, c[TAG + i] == c[STORED + i]
    if has ~= wants or (wants and not (same and height == node.stored_level)) then
      local key = 'e:' .. POOLS[i] .. ':' .. node.p
      if has and not (wants and same) then zrem(key, member(c[STORED + i], node)) end
      if wants then zadd(key, height, member(c[TAG + i], node)) end
    end
    c[STORED + i] = c[TAG + i]
  end
  node.stored_level = height
end

-- An idle node that is remembered stands in the set of one pool, of those in which it is ahead.
local function remember(node, i)
  local place = POOLS[i] .. ':' .. node.p
  zadd('i:' .. place, plain(node.c[TAG + i]), node.id)
  redis.call('ZADD', data .. 'idle', 'NX', now_ms, place)
end

-- A node is forgotten when it is idle and in no pool ahead of the smallest living sibling's tag.
local function flush_node(node)
  order(node)
  local idle = is_idle(node)
  local ahead = idle and ahead_in(node)
  if idle and not ahead then hdel('n', node.id) else hset('n', node.id, pack(node)) end
  if node.stored_idle then
    for i = 1, N do
      if node.c[TAG + i] > 0 then zrem('i:' .. POOLS[i] .. ':' .. node.p, node.id) end
    end
  end
  if ahead then remember(node, ahead) end
end

-- Writes what the script changed. Last, since the nodes are not to be used after it. The counter first: no admission is given twice, whatever
-- fails.
local function flush()
  if pools_changed then
    redis.call('HSET', KEYS[1], 'pools', packed_pools(), 'counter', plain(counter))
  end
  local touched = {}
  for _, node in pairs(nodes) do
    if node and node.touched then touched[#touched + 1] = node end
  end
  for _, node in ipairs(touched) do flush_node(node) end
  write_all()
end
