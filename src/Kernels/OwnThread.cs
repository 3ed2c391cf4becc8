namespace Trainer.Kernels;

/// <summary>Runs work on a thread that ends with it.</summary>
/// <remarks>libtorch's OpenMP threads belong to the thread that called them, and stay while it lives. Once they are more than there are
/// processors, all of them sleep between loops in place of spinning, and each loop waits until they are woken: decoding at 0.8 M parameters
/// took 1.4 times as long on 2 processors after another thread had loaded the model.</remarks>
public static class OwnThread
{
    /// <summary>Returns what the work returns, or throws what it throws.</summary>
    public static T Run<T>(Func<T> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
            .GetAwaiter().GetResult();
}
