-- The BullMQ jobs that carry reserved slots to a worker: added by BullMQ's own script, as `Queue.add` would. Needs bullmq and opening.lua.
local QUEUE_KEYS = { 'wait', 'paused', 'meta', 'id', 'completed', 'delayed', 'active', 'events', 'marker' }

local function add_job(run, admission, pool, name)
  local prefix = fleet .. 'jobs:' .. pool .. ':'
  local id, keys = run .. '-' .. admission, {}
  for k, part in ipairs(QUEUE_KEYS) do keys[k] = prefix .. part end
  local options = { jobId = id, attempts = 1, removeOnComplete = true, removeOnFail = true }
  add_standard_job(keys, {
    cmsgpack.pack({ prefix, id, name, now_ms }),
    '{"run_id":"' .. run .. '","admission":' .. admission .. '}',
    cmsgpack.pack(options),
  })
end
