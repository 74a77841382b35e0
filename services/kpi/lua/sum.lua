-- The field-wise sum of the hashes in KEYS: a window of one segment in one partition, added where it lies.
local total = {}
for _, key in ipairs(KEYS) do
  local found = redis.call('HGETALL', key)
  for at = 1, #found, 2 do
    total[found[at]] = (total[found[at]] or 0) + found[at + 1]
  end
end
local flat = {}
for field, amount in pairs(total) do
  flat[#flat + 1] = field
  flat[#flat + 1] = string.format('%.0f', amount)
end
return flat
