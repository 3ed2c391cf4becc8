namespace Trainer.Reporting.Monitoring;

/// <summary>Where a run stands when it starts or goes on.</summary>
/// <param name="TotalSteps">Optimizer steps when it will be done.</param>
/// <param name="ResumedFrom">The step of the checkpoint it goes on from; null for a new run.</param>
public sealed record RunProgress(long TotalSteps, long? ResumedFrom = null)
{
    /// <summary>Steps already done.</summary>
    public long Done => ResumedFrom ?? 0;

    /// <summary>The first step that will be recorded: records of this step or later are left over from before the
    /// interruption. A new run may record step 0, the evaluation of the untrained model.</summary>
    public long FirstStep => ResumedFrom + 1 ?? 0;
}
