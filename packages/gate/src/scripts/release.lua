-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: the slots of exactly these admissions are free, once; then the offers are parked and free slots are given.
-- A stale admission, or one released before, frees nothing.
-- ARGV[3]: {releases: [{run, admission}], offers, places: see offer.lua, keep: see admit.lua, or absent}, the admission as text
-- Reply: see admit_and_reply; the result is [run, ...] of the slots freed by this call.
if not warm then return { 'cold' } end
local released = {}
read_all(pluck(ask.releases, 'run'))
for _, r in ipairs(ask.releases) do
  local run = run_of(r.run)
  if run and run.a == r.admission then
    forget(run)
    released[#released + 1] = run.id
  end
end
offer_all(ask.offers, ask.places)
return admit_and_reply(released, ask.keep)
