-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: each running run has a started slot of its admission or of a newer one, over any limit. An admission of an epoch that this
-- gate has not reached changes nothing. A run that waits here is no longer offered.
-- ARGV[3]: {holdings: [{run, admission, node, class, lane, workspace, pool, job}]}, the admission as text
-- Reply: see admit_and_reply; the result is [run, ...] of those that were given a slot.
if not warm then return { 'cold' } end
local restored = {}
read_all(pluck(ask.holdings, 'run'))
read_places(ask.holdings)
for _, h in ipairs(ask.holdings) do
  local admission = tonumber(h.admission)
  local at_epoch, at_counter = math.floor(admission / 4294967296), admission % 4294967296
  local run = run_of(h.run)
  if at_epoch <= epoch and not (run and run.a ~= '' and tonumber(run.a) >= admission) then
    if at_epoch == epoch then counter = math.max(counter, at_counter) end
    if run then forget(run) end
    hold(h)
    restored[#restored + 1] = h.run
  end
end
return admit_and_reply(restored)
