-- Writes what a script changed. Needs tree.lua.

-- Whether the node is the only eligible child in the one pool it is eligible in, now and in the stored set: its entry need not be exact.
local function is_alone(node)
  local pool = next(node.e)
  if not pool or next(node.e, pool) ~= nil or not node.stored_e[pool] or next(node.stored_e, next(node.stored_e)) ~= nil then return false end
  local parent = nodes[node.p]
  return parent and parent.k[pool] == 1
end

local function order(node)
  if is_alone(node) then return end
  local height, same = level(node), node.t == node.stored_tag
  if next(node.e) ~= nil or next(node.stored_e) ~= nil then
    local old = tag_bytes(node.stored_tag) .. node.id
    local new = same and old or tag_bytes(node.t) .. node.id
    for _, pool in ipairs(POOLS) do
      local has, wanted, key = node.stored_e[pool], node.e[pool], 'e:' .. pool .. ':' .. node.p
      if has and not (wanted and same) then zrem(key, old) end
      if wanted and not (has and same and height == node.stored_level) then zadd(key, height, new) end
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

-- Writes what the script changed. Last, since the nodes are not to be used after it.
local function flush()
  local touched = {}
  for _, node in pairs(nodes) do
    if node and node.touched then touched[#touched + 1] = node end
  end
  for _, node in ipairs(touched) do flush_node(node) end
  write_all()
  if pools_changed then
    redis.call('HSET', KEYS[1], 'pools', cmsgpack.pack(pools), 'counter', plain(counter))
  end
end
