-- include: opening record
-- Promise: those of the runs that the gate does not know in any state, in the order asked. Changes nothing.
-- ARGV[3]: {runs: [run]}
-- Reply: 'warm', [run, ...]
if not warm then return { 'cold' } end
local unknown = {}
each_field(data .. 'r', ask.runs, function(id, packed)
  if not packed then unknown[#unknown + 1] = id end
end)
return { 'warm', unknown }
