using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Gradients without touching <see cref="Tensor.grad"/>.</summary>
    public static class autograd
    {
        /// <summary>The derivatives of the outputs with respect to the inputs.</summary>
        /// <param name="outputs">What was computed.</param>
        /// <param name="inputs">With respect to what.</param>
        /// <param name="grad_outputs">The gradient of the outcome with respect to each output; none for scalars.</param>
        /// <param name="retain_graph">Keep the record, to run it again.</param>
        /// <param name="create_graph">Record the backward pass too.</param>
        /// <param name="allow_unused">Give null for inputs that no output depends on, instead of an error.</param>
        public static unsafe IList<Tensor?> grad(IList<Tensor> outputs, IList<Tensor> inputs, IList<Tensor>? grad_outputs = null,
            bool retain_graph = false, bool create_graph = false, bool allow_unused = false)
        {
            using var from = new TensorPointers([.. outputs]);
            using var to = new TensorPointers([.. inputs]);
            using var weights = new TensorPointers([.. grad_outputs ?? []]);
            var handles = new nint[inputs.Count];
            fixed (nint* f = from, t = to, w = weights, results = handles)
                Native.Check(tn_autograd_grad(f, from.Count, t, to.Count, w, weights.Count,
                    retain_graph || create_graph ? 1 : 0, create_graph ? 1 : 0, allow_unused ? 1 : 0, results));
            return [.. handles.Select(handle => handle == 0 ? null : new Tensor(handle))];
        }
    }
}
