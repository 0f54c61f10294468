-- include: opening node tree run admit
-- Promise: the slots of exactly these admissions are free, once; then the offers are parked and free slots are given.
-- A stale admission, or one released before, frees nothing.
-- ARGV[3]: {releases: [{run, admission}], offers: see offer.lua}, the admission as text
-- Reply: see admit_and_reply; the result is [run, ...] of the slots freed by this call.
if not warm then return { 'cold' } end
local released = {}
for _, r in ipairs(ask.releases) do
  local run = run_of(r.run)
  if run and run.a == r.admission then
    forget(run)
    released[#released + 1] = run.id
  end
end
for _, o in ipairs(ask.offers) do offer(o) end
return admit_and_reply(released)
