using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Until disposed, operations on this thread are not recorded.</summary>
    public static IDisposable no_grad() => new GradMode(false);

    /// <summary>Until disposed, operations on this thread are recorded.</summary>
    public static IDisposable enable_grad(bool enabled = true) => new GradMode(enabled);

    /// <summary>Whether operations on this thread are recorded.</summary>
    public static bool is_grad_enabled() => tn_grad_mode() != 0;

    /// <summary>Until disposed, tensors made on this thread keep no trace for gradients at all: faster than <see cref="no_grad"/>,
    /// but they can never take part in a recorded computation.</summary>
    public static IDisposable inference_mode(bool mode = true) => new InferenceGuard(mode);

    /// <summary>Whether <see cref="inference_mode"/> holds on this thread.</summary>
    public static bool is_inference_mode_enabled() => tn_inference_mode() != 0;

    /// <summary>The number of threads that one operation may use.</summary>
    public static int get_num_threads() => tn_num_threads();

    /// <summary>Sets the number of threads that one operation may use.</summary>
    public static void set_num_threads(int num) => Native.Check(tn_set_num_threads(num));

    private sealed class GradMode : IDisposable
    {
        private readonly bool previous = is_grad_enabled();

        internal GradMode(bool enabled) => tn_set_grad_mode(enabled ? 1 : 0);

        public void Dispose() => tn_set_grad_mode(previous ? 1 : 0);
    }

    private sealed class InferenceGuard : IDisposable
    {
        private nint guard;

        internal InferenceGuard(bool enabled) => Native.Check(tn_inference_enter(enabled ? 1 : 0, out guard));

        public void Dispose()
        {
            if (guard != 0) tn_inference_leave(guard);
            guard = 0;
        }
    }
}
