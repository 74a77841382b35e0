-- The field-wise sums of the buckets of a window, for any number of segments of one partition, added where they lie.
-- KEYS[1] position; ARGV[1] what the keys of this partition's buckets begin with, ARGV[2] (MessagePack) of each bucket
-- what follows, up to its segment, ARGV[3] (MessagePack) the segments, ARGV[4] as in wanted.lua. Answers a flat
-- list of fields and amounts for each segment. Every key lies in the slot of KEYS[1].
local prefix, buckets = ARGV[1], cmsgpack.unpack(ARGV[2])
local answer = {}
for number, segment in ipairs(cmsgpack.unpack(ARGV[3])) do
  local total, fields = {}, {}
  for place = 1, #buckets do
    for field, amount in pairs((held(prefix .. buckets[place] .. segment))) do
      if counts[field] then
        local sum = total[field]
        if sum then
          total[field] = sum + amount
        else
          fields[#fields + 1] = field
          total[field] = amount + 0
        end
      end
    end
  end
  local flat = {}
  for place, field in ipairs(fields) do
    flat[2 * place - 1] = field
    flat[2 * place] = string.format('%.0f', total[field])
  end
  answer[number] = flat
end
return answer
