-- Nodes of the ordering tree: read once per script, kept here, written by `flush`. Needs record.lua.
-- p parent ('*' above workspaces), u slots used, at accrued at (us), w runs waiting below it; lim, wt, off copies of its configuration;
-- c by number of the pool: c[i] 1 where it is eligible, c[CHILDREN + i] its eligible children, c[SLOTS + i] its slots, c[TAG + i] its tag
-- (slot-nanoseconds / weight), c[STORED + i] the tag that the pool's set holds of it.
-- A class also has: d its due runs, pool, ws workspace, job its jobs' name. A node without w, u and d is idle.
local nodes, offspring, configurations = {}, {}, {}
local N = #POOLS
local CHILDREN, SLOTS, TAG, STORED, NUMBERS = N, 2 * N, 3 * N, 4 * N, 5 * N
-- u, at, w, d, stored level, lim (-1: none), wt; off; p, ws, pool, job; c
local PACKED = '>dddddddBssss' .. string.rep('B', N) .. string.rep('I4', 2 * N) .. string.rep('d', 2 * N)
local NOWHERE = {}
for k = 1, NUMBERS do NOWHERE[k] = 0 end
local number_of = {}
for i, pool in ipairs(POOLS) do number_of[pool] = i end

local function blocked(node) return node.off or (node.lim and node.u >= node.lim) or false end
local function level(node) return math.floor(node.u / node.wt + 1e-9) end
local function is_idle(node) return node.w == 0 and node.u == 0 and (node.d or 0) == 0 end
local function is_living(node, i) return node.c[i] == 1 or node.c[SLOTS + i] > 0 end

-- A node's own numbers by pool, to be changed; those that it had are kept for the flush.
local function counts_of(node)
  if node.c == node.stored_c then node.c = { unpack(node.c, 1, NUMBERS) } end
  return node.c
end

local function configured(node, limit, weight, paused)
  node.lim = tonumber(limit or '') or false
  node.wt = tonumber(weight or '') or 1
  node.off = paused == '1'
end

local function adopt(node)
  nodes[node.id] = node
  local siblings = offspring[node.p]
  if siblings then siblings[#siblings + 1] = node else offspring[node.p] = { node } end
end

-- stored_c and stored_level are what the sets of its parent hold of it.
local function made(id, u, at, w, d, stored_level, lim, wt, off, p, ws, pool, job, ...)
  local c = { ... }
  -- Sixteen fields or fewer, as most nodes are no classes and have no limit: a table of Lua doubles past that.
  local node = { id = id, p = p, u = u, at = at, w = w, wt = wt, c = c, stored_c = c, stored_level = stored_level, touched = false }
  if lim >= 0 then node.lim = lim end
  if off == 1 then node.off = true end
  if pool ~= '' then node.d, node.ws, node.pool, node.job = d, ws, pool, job end
  if w == 0 and u == 0 and d == 0 then node.stored_idle = true end
  adopt(node)
end

local function keep_node(id, packed)
  if packed then made(id, struct.unpack(PACKED, packed)) else nodes[id] = false end
end

-- The node, or nil when it is not at work.
local function known(id)
  if nodes[id] == nil then keep_node(id, redis.call('HGET', data .. 'n', id)) end
  return nodes[id] or nil
end

local function read_nodes(ids)
  local missing = {}
  for _, id in ipairs(ids) do
    if nodes[id] == nil then
      missing[#missing + 1] = id
      nodes[id] = false
    end
  end
  each_field(data .. 'n', missing, keep_node)
end

local function pack(node)
  return struct.pack(PACKED, node.u, node.at, node.w, node.d or 0, node.stored_level, node.lim or -1, node.wt,
    node.off and 1 or 0, node.p, node.ws or '', node.pool or '', node.job or '', unpack(node.c, 1, NUMBERS))
end

local function keep_configuration(id, packed) configurations[id] = packed and cmsgpack.unpack(packed) or {} end

local function ensure(id, parent)
  local node = known(id)
  if node then return node end
  made(id, 0, now_us, 0, 0, 0, -1, 1, 0, parent, '', '', '', unpack(NOWHERE))
  node = nodes[id]
  if not configurations[id] then keep_configuration(id, redis.call('HGET', data .. 'c', id)) end
  configured(node, unpack(configurations[id], 1, 3))
  node.stored_idle = false
  return node
end
