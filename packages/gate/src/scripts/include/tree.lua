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
  local want, eligible, was = {}, false, false
  for _, pool in ipairs(POOLS) do
    if closed then want[pool] = false
    elseif node.blocked or check[pool] then want[pool] = supplied(node, pool)
    else want[pool] = node.e[pool] or false end
    eligible = eligible or want[pool]
    was = was or node.e[pool] or false
  end
  if eligible and not was and node.u == 0 then
    node.t = math.max(node.t, least_living(node.p, node.id) or 0)
  end
  local old, new, height = tag_text(node.stored_tag) .. node.id, tag_text(node.t) .. node.id, level(node)
  local moved = {}
  for _, pool in ipairs(POOLS) do
    local has, key = node.e[pool] or false, data .. 'e:' .. pool .. ':' .. node.p
    if has and (not want[pool] or old ~= new) then redis.call('ZREM', key, old) end
    if want[pool] and (not has or old ~= new or height ~= node.stored_level) then redis.call('ZADD', key, height, new) end
    if has ~= want[pool] then
      moved[pool] = true
      node.e[pool] = want[pool]
    end
  end
  local living = eligible or node.u > 0
  if living and (not node.living or node.t ~= node.stored_tag) then
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

local function store(node)
  local e = {}
  for _, pool in ipairs(POOLS) do
    if node.e[pool] then e[#e + 1] = pool end
  end
  local key, eligible = data .. 'n:' .. node.id, table.concat(e, ',')
  redis.call('HSET', key, 'u', node.u, 't', plain(node.t), 'at', plain(node.at), 'w', node.w, 'e', eligible)
  if node.fresh or node.reconfigured then
    local limit = node.lim and plain(node.lim) or ''
    redis.call('HSET', key, 'p', node.p, 'lim', limit, 'wt', node.wt, 'off', node.off and '1' or '0')
  end
  if node.pool then redis.call('HSET', key, 'd', node.d) end
  if node.pool and node.fresh then redis.call('HSET', key, 'pool', node.pool, 'ws', node.ws, 'j', node.job) end
end

-- A node is forgotten when it is idle and its tag is not ahead of the smallest living sibling's.
local function flush_node(node)
  local idle = is_idle(node)
  if node.u > 0 and node.stored_used == 0 then redis.call('ZADD', data .. 'busy', now_ms, node.id)
  elseif node.u == 0 and node.stored_used > 0 then redis.call('ZREM', data .. 'busy', node.id) end
  local least = idle and least_living(node.p, node.id)
  local forgotten = idle and (not least or node.t <= least)
  if forgotten then redis.call('DEL', data .. 'n:' .. node.id) else store(node) end
  if idle and not forgotten then
    redis.call('ZADD', data .. 'i:' .. node.p, plain(node.t), node.id)
    redis.call('ZADD', data .. 'idle', 'NX', now_ms, node.p)
  elseif node.stored_idle then
    redis.call('ZREM', data .. 'i:' .. node.p, node.id)
  end
end

-- Writes what the script changed. Last, since the nodes are not to be used after it.
local function flush()
  for _, node in pairs(nodes) do
    if node.touched then flush_node(node) end
  end
  for field, value in pairs(pools_changed) do redis.call('HSET', data .. 'pools', field, value) end
  if counter ~= counter_before then redis.call('HSET', KEYS[1], 'counter', plain(counter)) end
end
