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
  return pool and parent.c[N + pool] == 1
end

local function order(node)
  local height, same = level(node), node.t == node.stored_tag
  local moves = not same or height ~= node.stored_level
  if not moves and node.c == node.stored_c or is_alone(node) then return end
  for i = 1, N do
    local has, wants = node.stored_c[i] == 1, node.c[i] == 1
    if has ~= wants or (wants and moves) then
      local key = 'e:' .. POOLS[i] .. ':' .. node.p
      if has and not (wants and same) then zrem(key, member(node.stored_tag, node)) end
      if wants then zadd(key, height, member(node.t, node)) end
    end
  end
  node.stored_tag, node.stored_level = node.t, height
end

-- A node is forgotten when it is idle and its tag is not ahead of the smallest living sibling's.
local function flush_node(node)
  order(node)
  local idle = is_idle(node)
  local least = idle and least_living(node.p, node.id)
  local forgotten = idle and (not least or node.t <= least)
  if forgotten then hdel('n', node.id) else hset('n', node.id, pack(node)) end
  if idle and not forgotten then
    zadd('i:' .. node.p, plain(node.t), node.id)
    redis.call('ZADD', data .. 'idle', 'NX', now_ms, node.p)
  elseif node.stored_idle then
    zrem('i:' .. node.p, node.id)
  end
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
