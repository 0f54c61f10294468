-- Writes wait here for the script's end, the last one of a member standing, and leave with one command for each key and kind.
-- Whatever a script reads back it writes at once or asks its memory for. Needs record.lua.
local sorted, hashed = {}, {}

local function later(all, key, member, value)
  local waiting = all[key]
  if not waiting then
    waiting = {}
    all[key] = waiting
  end
  waiting[member] = value
end

local function zadd(key, score, member) later(sorted, data .. key, member, score) end
local function zrem(key, member) later(sorted, data .. key, member, false) end
local function hset(key, field, value) later(hashed, data .. key, field, value) end
local function hdel(key, field) later(hashed, data .. key, field, false) end

local function send(command, key, arguments)
  for from = 1, #arguments, ARGUMENTS_MAX do
    redis.call(command, key, unpack(arguments, from, math.min(from + ARGUMENTS_MAX - 1, #arguments)))
  end
end

local function write_sorted(key)
  local added, removed = {}, {}
  for member, score in pairs(sorted[key] or {}) do
    if score then
      added[#added + 1] = score
      added[#added + 1] = member
    else
      removed[#removed + 1] = member
    end
  end
  send('ZREM', key, removed)
  send('ZADD', key, added)
  sorted[key] = nil
end

local function write_all()
  for key in pairs(sorted) do write_sorted(key) end
  for key, waiting in pairs(hashed) do
    local set, removed = {}, {}
    for field, value in pairs(waiting) do
      if value then
        set[#set + 1] = field
        set[#set + 1] = value
      else
        removed[#removed + 1] = field
      end
    end
    send('HDEL', key, removed)
    send('HSET', key, set)
  end
  hashed = {}
end
