-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: the runs no longer wait and hold no reservation, nor has one a job that nobody took. A started slot is left alone: its worker or the reconciler releases it.
-- ARGV[3]: {runs: [run]}
-- Reply: see admit_and_reply; the result is empty.
if not warm then return { 'cold' } end
read_all(ask.runs)
for _, id in ipairs(ask.runs) do
  local run = run_of(id)
  if run and run.s == 'reserved' then drop_job(run) end
  if run and run.s ~= 'started' then forget(run) end
end
return admit_and_reply({})
