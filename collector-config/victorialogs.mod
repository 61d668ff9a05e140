// VictoriaLogs and vmalert, in which the tests try the alerts: `make victorialogs`.
module victorialogs

go 1.26.6

require (
	github.com/VictoriaMetrics/VictoriaLogs v1.51.1-0.20260624061259-dc94972a8708
	// The version that VictoriaLogs itself asks for is not served as a module.
	github.com/VictoriaMetrics/VictoriaMetrics v1.151.0
)
