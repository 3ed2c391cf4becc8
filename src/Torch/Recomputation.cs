using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): memory against time.</summary>
/// <remarks>What a segment of a computation would keep for the backward pass is dropped; when that pass comes to it, the segment runs again. Gradients
/// are the same bits as without: the record of the first run is the one that is differentiated, with random numbers drawn as then.</remarks>
public static unsafe class Recomputation
{
    [ThreadStatic] private static bool running;

    /// <summary>Whether this thread is running a segment again: what is to happen once only, such as counting, has happened.</summary>
    public static bool Running => running;

    /// <summary>Runs a segment, which the backward pass will run again.</summary>
    /// <param name="segment">The same every time, apart from random numbers. It must hold no other segment, and what it reads must last until
    /// <paramref name="release"/> is called.</param>
    /// <param name="release">Called once, when it will not be run any more: by the thread that lets go of the record last.</param>
    /// <param name="drawsOn">The device whose default generator the segment draws from; null where it draws nothing.</param>
    /// <returns>What the segment gives, in the current scope.</returns>
    /// <exception cref="TorchException">This thread is in a segment already.</exception>
    public static torch.Tensor Run(Func<torch.Tensor> segment, Action release, torch.Device? drawsOn = null)
    {
        var state = new State(segment, release, drawsOn is null ? null : RandomMoment.Capture(drawsOn));
        delegate* unmanaged[Cdecl]<nint, byte*, int, int> again = &Again;
        delegate* unmanaged[Cdecl]<nint, void> done = &Done;
        Native.Check(tn_recompute_begin((nint)again, (nint)done, GCHandle.ToIntPtr(GCHandle.Alloc(state)), out var guard));
        try
        {
            return segment();
        }
        finally
        {
            tn_recompute_end(guard);
        }
    }

    /// <summary>Until disposed, what this thread computes is kept as usual: for what several segments share and only one of them makes.</summary>
    public static IDisposable Pause() => new Pausing();

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Again(nint handle, byte* message, int capacity)
    {
        try
        {
            ((State)GCHandle.FromIntPtr(handle).Target!).Run();
            return 0;
        }
        catch (Exception error)
        {
            Encoding.UTF8.GetEncoder().Convert(error.Message, new Span<byte>(message, capacity - 1), flush: true, out _, out var written, out _);
            message[written] = 0;
            return 1;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Done(nint handle)
    {
        var owned = GCHandle.FromIntPtr(handle);
        ((State)owned.Target!).Release();
        owned.Free();
    }

    private sealed record State(Func<torch.Tensor> Segment, Action Freed, RandomMoment? Moment)
    {
        public void Run()
        {
            using var gradients = torch.enable_grad(); // the backward pass records nothing of its own
            using var scope = torch.NewDisposeScope();
            using var present = Moment?.Return();
            running = true;
            try
            {
                Segment();
            }
            finally
            {
                running = false;
            }
        }

        public void Release()
        {
            Moment?.Dispose();
            Freed();
        }
    }

    private sealed class Pausing : IDisposable
    {
        private readonly nint paused;

        public Pausing() => tn_recompute_pause(out paused);

        public void Dispose() => tn_recompute_resume(paused);
    }
}
