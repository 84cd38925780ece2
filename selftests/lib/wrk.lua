-- SPDX-License-Identifier: GPL-2.0
-- wrk: counts answers by their body (the name of the real) and prints one line
-- of JSON at the end.
local threads = {}

function setup(thread)
	table.insert(threads, thread)
end

function init(args)
	answers = {}
end

function response(status, headers, body)
	local name = body:match("^[%w]+") or "?"
	answers[name] = (answers[name] or 0) + 1
end

function done(summary, latency, requests)
	local total, parts = {}, {}
	for _, thread in ipairs(threads) do
		for name, n in pairs(thread:get("answers")) do
			total[name] = (total[name] or 0) + n
		end
	end
	for name, n in pairs(total) do
		table.insert(parts, string.format('"%s": %d', name, n))
	end
	local e = summary.errors
	print(string.format('{"requests": %d, "connect": %d, "read": %d, "write": %d, ' ..
		'"status": %d, "timeout": %d, "answers": {%s}}', summary.requests, e.connect, e.read,
		e.write, e.status, e.timeout, table.concat(parts, ", ")))
end
