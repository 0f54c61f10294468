-- Writes wait here for the script's end and leave with one command for each key and kind, removals first: what a script both takes away and
-- puts back stays. Whatever a script reads back it writes before, or asks its memory for. Needs record.lua.
local removals = { ZREM = {}, HDEL = {} }
local additions = { ZADD = {}, HSET = {} }

local function append(all, key, first, second)
  local list = all[data .. key]
  if list then
    local n = #list
    list[n + 1], list[n + 2] = first, second
  else
    all[data .. key] = { first, second }
  end
end

local function zadd(key, score, member) append(additions.ZADD, key, score, member) end
local function zrem(key, member) append(removals.ZREM, key, member) end
local function hset(key, field, value) append(additions.HSET, key, field, value) end
local function hdel(key, field) append(removals.HDEL, key, field) end

local function send(command, key, arguments)
  for from = 1, #arguments, ARGUMENTS_MAX do
    redis.call(command, key, unpack(arguments, from, math.min(from + ARGUMENTS_MAX - 1, #arguments)))
  end
end

local function write_one(command, waiting, key)
  if waiting[key] then send(command, key, waiting[key]) end
  waiting[key] = nil
end

local function write_sorted(key)
  write_one('ZREM', removals.ZREM, key)
  write_one('ZADD', additions.ZADD, key)
end

local function write_all()
  for command, waiting in pairs(removals) do
    for key in pairs(waiting) do write_one(command, waiting, key) end
  end
  for command, waiting in pairs(additions) do
    for key in pairs(waiting) do write_one(command, waiting, key) end
  end
end
