using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Whether operations on this tensor are recorded; only leaves can be switched off.</summary>
        public bool requires_grad
        {
            get
            {
                Native.Check(tn_requires_grad(handle, out var result));
                return result != 0;
            }
            set => Native.Check(tn_set_requires_grad(handle, value ? 1 : 0));
        }

        /// <summary>Sets <see cref="requires_grad"/>.</summary>
        public Tensor requires_grad_(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        /// <summary>Whether this tensor was made by the user, not by a recorded operation.</summary>
        public bool is_leaf
        {
            get
            {
                Native.Check(tn_is_leaf(handle, out var result));
                return result != 0;
            }
        }

        /// <summary>The gradient that backward has gathered, or none. Setting null gives its memory back.</summary>
        public Tensor? grad
        {
            get
            {
                Native.Check(tn_grad(handle, out var result));
                return result == 0 ? null : new Tensor(result);
            }
            set => Native.Check(tn_set_grad(handle, value?.handle ?? TensorHandle.Null));
        }

        /// <summary>Keeps the gradient of a tensor that is not a leaf.</summary>
        public void retain_grad() => Native.Check(tn_retain_grad(handle));

        /// <summary>Adds this tensor's derivative to the gradient of every leaf it was computed from.</summary>
        /// <param name="grad_tensors">The gradient of the outcome with respect to this tensor, alone in a list; one for a scalar.</param>
        /// <param name="create_graph">Record the backward pass too.</param>
        /// <param name="retain_graph">Keep the record, to run it again.</param>
        /// <exception cref="ArgumentException">There is more than one gradient for this one tensor.</exception>
        public void backward(IList<Tensor>? grad_tensors = null, bool create_graph = false, bool retain_graph = false)
        {
            if (grad_tensors is { Count: not 1 })
                throw new ArgumentException($"{grad_tensors.Count} gradients for one tensor.", nameof(grad_tensors));
            Native.Check(tn_backward(handle, grad_tensors?[0].handle ?? TensorHandle.Null, retain_graph || create_graph ? 1 : 0, create_graph ? 1 : 0));
        }

        /// <summary>The same memory, cut off from the record.</summary>
        public Tensor detach() => Native.Own(tn_detach(handle, out var result), result);
    }
}
