using TorchSharp.Modules;
using Trainer.Torch;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>Helpers over the parameters of a model.</summary>
        public static class utils
        {
            /// <summary>Scales gradients in place so that their common norm is at most <paramref name="max_norm"/>.</summary>
            /// <param name="tensors">The parameters; those without a gradient are passed over.</param>
            /// <param name="max_norm">The limit.</param>
            /// <param name="norm_type">Which norm: 2 is the Euclidean one.</param>
            /// <returns>The norm before scaling; reading it waits for a GPU, which <see cref="Gradients.ClipNorm"/> does not.</returns>
            public static double clip_grad_norm_(IEnumerable<Parameter> tensors, double max_norm, double norm_type = 2.0)
            {
                using var scope = NewDisposeScope();
                Tensor[] gradients = [.. tensors.Select(parameter => parameter.grad).OfType<Tensor>()];
                return gradients.Length == 0 ? 0 : Gradients.ClipNorm(gradients, max_norm, norm_type).ToDouble();
            }
        }
    }
}
