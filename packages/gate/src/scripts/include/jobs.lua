-- The BullMQ jobs that carry reserved slots to a worker: added by BullMQ's own script, as `Queue.add` would. Needs bullmq and opening.lua.
local QUEUE_KEYS = { 'wait', 'paused', 'meta', 'id', 'completed', 'delayed', 'active', 'events', 'marker' }
local ordered = {}

-- A job for this slot, at the end of the script. Its name is kept apart from the class, which is not to be used by then.
local function order_job(run, admission, class)
  ordered[#ordered + 1] = { run = run, admission = admission, pool = class.pool, name = class.job }
end

local function add_jobs()
  for _, job in ipairs(ordered) do
    local prefix = fleet .. 'jobs:' .. job.pool .. ':'
    local id, keys = job.run .. '-' .. job.admission, {}
    for k, part in ipairs(QUEUE_KEYS) do keys[k] = prefix .. part end
    local options = { jobId = id, attempts = 1, removeOnComplete = true, removeOnFail = true }
    add_standard_job(keys, {
      cmsgpack.pack({ prefix, id, job.name, now_ms }),
      '{"run_id":"' .. job.run .. '","admission":' .. job.admission .. '}',
      cmsgpack.pack(options),
    })
  end
end
