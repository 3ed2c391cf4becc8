using static TorchSharp.torch;

namespace Trainer.Kernels;

internal static class TensorShape
{
    extension(Tensor tensor)
    {
        /// <summary>Such as <c>[2, 8, 16]</c>, for messages.</summary>
        public string ShapeText => $"[{string.Join(", ", tensor.shape)}]";
    }
}
