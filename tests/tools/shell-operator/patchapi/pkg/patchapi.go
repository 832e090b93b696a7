// Package pkg declares the interfaces between shell-operator's patch collector and its callers.
//
// It stands in for github.com/deckhouse/module-sdk, which the module proxy does not serve.
// shell-operator v1.20.2 takes nothing but interface types from there and implements all of
// them itself, so what is declared here adds no behaviour and takes none away: a method
// missing below stops the build.
package pkg

// PatchCollectorOperation is one change to an object that waits to be carried out.
type PatchCollectorOperation interface {
	Description() string
}

// PatchCollectorOptionApplier is what an option is applied to.
type PatchCollectorOptionApplier interface {
	WithSubresource(subresource string)
	WithIgnoreMissingObject(ignore bool)
	WithIgnoreHookError(ignore bool)
}

// PatchCollectorOption changes how one operation is carried out.
type PatchCollectorOption interface {
	Apply(applier PatchCollectorOptionApplier)
}

// PatchCollector gathers operations in order.
type PatchCollector interface {
	Operations() []PatchCollectorOperation
}
