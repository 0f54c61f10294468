-- Begins every script: the cold check, the clock, the names of keys, the request.
-- The loader writes the constants above this line: FORMAT, POOLS, RESERVED_MS, ADMIT_MAX, PROMOTE_MAX, SWEEP_MAX, IDLE_MAX, PAGE_MAX.
-- KEYS[1]  {fleet}:gate, a hash: format, epoch, run_id (of the server that was loaded), counter (of admissions)
-- ARGV[1]  run_id of the server on this connection   ARGV[2]  epoch ms, or '' for Redis TIME   ARGV[3]  the request as JSON
-- Keys of an epoch, all after {fleet}:<epoch>: and all made here or in the includes:
--   r:<run>  a run: s state, c class, z score in its class, q queued at (ms); nb not before (ms); a admission, n node, t since (ms)
--   n:<node> a node of the tree at work (tree.lua)        c:<node> its configuration: limit, weight, paused, version
--   b:<class> waiting runs by z                           e:<pool>:<node> eligible children by slots / weight, then tag
--   l:<node> living children by tag                       i:<node> idle children that are remembered, by tag
--   slots: runs by admission    res: reserved runs by expiry (ms)    due: runs by their time (ms)    pools: numbers of each pool
--   busy: nodes that hold slots, by the time looked at (ms)          idle: nodes with remembered idle children, likewise
local meta = redis.call('HMGET', KEYS[1], 'format', 'run_id', 'epoch', 'counter')
local warm = meta[1] == FORMAT and meta[2] == ARGV[1]
local epoch = tonumber(meta[3] or '0')
local counter = tonumber(meta[4] or '0')
local fleet = string.sub(KEYS[1], 1, -5)

-- Lua prints whole numbers past 14 digits with an exponent.
local function plain(number) return string.format('%.0f', number) end

local data = fleet .. plain(epoch) .. ':'
local now_us
if ARGV[2] == '' then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
else
  now_us = ARGV[2] * 1000
end
local now_ms = math.floor(now_us / 1000)
local ask = cjson.decode(ARGV[3])
local counter_before = counter

-- Numbers of the pools: <what>:<pool>, what being capacity, used, queued or due.
local pools, pools_changed = nil, {}
local function pool_number(what, pool)
  if not pools then
    pools = {}
    local flat = redis.call('HGETALL', data .. 'pools')
    for k = 1, #flat, 2 do pools[flat[k]] = tonumber(flat[k + 1]) end
  end
  return pools[what .. ':' .. pool] or 0
end
local function set_pool(what, pool, value)
  local field = what .. ':' .. pool
  if pool_number(what, pool) ~= value then
    pools[field] = value
    pools_changed[field] = value
  end
end
local function add_pool(what, pool, by) set_pool(what, pool, math.max(0, pool_number(what, pool) + by)) end
