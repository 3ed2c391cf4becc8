namespace Trainer.Models.FeedForward.Experts;

/// <summary>Nothing: experts that are chosen learn, and are chosen the more for it. For models whose router is not trained further.</summary>
public sealed record NoBalanceOptions : BalanceOptions;
