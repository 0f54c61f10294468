-- Keeps the ordering sets of every node equal to what its children are. Needs node.lua.

-- Whether there is something to give below the node in the pool, its own limit and pause aside.
local function supplied(node, pool)
  if node.pool then return node.pool == pool and node.w > 0 end
  return redis.call('ZCARD', data .. 'e:' .. pool .. ':' .. node.id) > 0
end

-- Brings the node's entries in its parent's sets up to date, in the pools of `check` and wherever its own state decides.
-- Answers the pools in which it entered or left.
local function refresh(node, check)
  local closed = blocked(node)
  local want, eligible = {}, false
  for _, pool in ipairs(POOLS) do
    if not closed then
      if node.blocked or check[pool] then want[pool] = supplied(node, pool) or nil
      else want[pool] = node.e[pool] end
      eligible = eligible or want[pool] or false
    end
  end
  local was = next(node.e) ~= nil
  if eligible and not was and node.u == 0 then
    node.t = math.max(node.t, least_living(node.p, node.id) or 0)
  end
  local height, moved = level(node), {}
  if was or eligible then
    local old, same = tag_bytes(node.stored_tag) .. node.id, node.t == node.stored_tag
    local new = same and old or tag_bytes(node.t) .. node.id
    for _, pool in ipairs(POOLS) do
      local has, wanted = node.e[pool], want[pool]
      if has or wanted then
        local key = data .. 'e:' .. pool .. ':' .. node.p
        if has and not (wanted and same) then redis.call('ZREM', key, old) end
        if wanted and not (has and same and height == node.stored_level) then redis.call('ZADD', key, height, new) end
        if has ~= wanted then moved[pool] = true end
      end
    end
    node.e = want
  end
  local living = eligible or node.u > 0
  if living and not node.living then
    redis.call('ZADD', data .. 'l:' .. node.p, plain(node.t), node.id)
  elseif node.living and not living then
    redis.call('ZREM', data .. 'l:' .. node.p, node.id)
  end
  node.blocked, node.living, node.stored_tag, node.stored_level, node.touched = closed, living, node.t, height, true
  return moved
end

-- Adds to the slots used and the runs waiting of a class and of all above it, and to its pool's.
local function shift(class, used, waiting)
  local path, check = path_of(class), { [class.pool] = true }
  for _, node in ipairs(path) do
    if used ~= 0 then accrue(node) end
    node.u = math.max(0, node.u + used)
    node.w = math.max(0, node.w + waiting)
    check = refresh(node, check)
  end
  if used ~= 0 then add_pool('used', class.pool, used) end
  if waiting ~= 0 then add_pool('queued', class.pool, waiting) end
end

-- Refreshes a node and all above it after its configuration or tag changed.
local function ripple(node)
  local check = {}
  while node do
    check = refresh(node, check)
    if next(check) == nil then return end
    node = known(node.p)
  end
end

-- A node is forgotten when it is idle and its tag is not ahead of the smallest living sibling's.
local function flush_node(node)
  local idle = is_idle(node)
  local least = idle and least_living(node.p, node.id)
  local forgotten = idle and (not least or node.t <= least)
  if forgotten then redis.call('DEL', data .. 'n:' .. node.id)
  else redis.call('SET', data .. 'n:' .. node.id, pack(node)) end
  if idle and not forgotten then
    redis.call('ZADD', data .. 'i:' .. node.p, plain(node.t), node.id)
    redis.call('ZADD', data .. 'idle', 'NX', now_ms, node.p)
  elseif node.stored_idle then
    redis.call('ZREM', data .. 'i:' .. node.p, node.id)
  end
end

-- Writes what the script changed. Last, since the nodes are not to be used after it.
local function flush()
  local touched = {}
  for _, node in pairs(nodes) do
    if node.touched then touched[#touched + 1] = node end
  end
  for _, node in ipairs(touched) do flush_node(node) end
  if pools_changed then
    redis.call('HSET', KEYS[1], 'pools', cmsgpack.pack(pools), 'counter', plain(counter))
  end
end
