namespace Trainer.Cli;

/// <summary>What the process returns.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    internal const int Done = 0;

    /// <summary>Failed: the message says why and what to do.</summary>
    internal const int Failed = 1;

    /// <summary>The command line or the configuration is wrong.</summary>
    internal const int Wrong = 2;

    /// <summary>Interrupted, with a checkpoint saved: 128 + SIGINT.</summary>
    internal const int Interrupted = 130;
}
