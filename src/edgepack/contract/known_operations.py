"""The names of all operations that the services have at AWS.

With it an operation that is not here can be told from one that is nowhere. A test holds it against botocore.
"""

from collections.abc import Mapping
from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KNOWN_OPERATIONS: Final[Mapping[str, frozenset[str]]] = {
    "sagemaker": _names(
        """
        AddAssociation AddInferenceGateway AddTags AssociateTrialComponent AttachClusterNodeNetworkInterface
        AttachClusterNodeVolume BatchAddClusterNodes BatchDeleteClusterNodes BatchDescribeModelPackage
        BatchRebootClusterNodes BatchReplaceClusterNodes CreateAIBenchmarkJob CreateAIRecommendationJob
        CreateAIWorkloadConfig CreateAction CreateAlgorithm CreateApp CreateAppImageConfig CreateArtifact
        CreateAutoMLJob CreateAutoMLJobV2 CreateCluster CreateClusterExtension CreateClusterSchedulerConfig
        CreateCodeRepository CreateCompilationJob CreateComputeQuota CreateContext CreateDataQualityJobDefinition
        CreateDeviceFleet CreateDomain CreateEdgeDeploymentPlan CreateEdgeDeploymentStage CreateEdgePackagingJob
        CreateEndpoint CreateEndpointConfig CreateExperiment CreateFeatureGroup CreateFlowDefinition
        CreateGlobalInferenceGateway CreateHub CreateHubContentPresignedUrls CreateHubContentReference
        CreateHumanTaskUi CreateHyperParameterTuningJob CreateImage CreateImageVersion CreateInferenceComponent
        CreateInferenceExperiment CreateInferenceRecommendationsJob CreateInferenceRouter CreateJob
        CreateLabelingJob CreateMlflowApp CreateMlflowTrackingServer CreateModel CreateModelBiasJobDefinition
        CreateModelCard CreateModelCardExportJob CreateModelExplainabilityJobDefinition CreateModelPackage
        CreateModelPackageGroup CreateModelQualityJobDefinition CreateMonitoringSchedule CreateNotebookInstance
        CreateNotebookInstanceLifecycleConfig CreateOptimizationJob CreatePartnerApp CreatePartnerAppPresignedUrl
        CreatePipeline CreatePresignedDomainUrl CreatePresignedMlflowAppUrl CreatePresignedMlflowTrackingServerUrl
        CreatePresignedNotebookInstanceUrl CreateProcessingJob CreateProject CreateSpace CreateStudioLifecycleConfig
        CreateTrainingJob CreateTrainingPlan CreateTrainingSession CreateTransformJob CreateTrial
        CreateTrialComponent CreateUserProfile CreateWorkforce CreateWorkteam DeleteAIBenchmarkJob
        DeleteAIRecommendationJob DeleteAIWorkloadConfig DeleteAction DeleteAlgorithm DeleteApp DeleteAppImageConfig
        DeleteArtifact DeleteAssociation DeleteCluster DeleteClusterExtension DeleteClusterSchedulerConfig
        DeleteCodeRepository DeleteCompilationJob DeleteComputeQuota DeleteContext DeleteDataQualityJobDefinition
        DeleteDeviceFleet DeleteDomain DeleteEdgeDeploymentPlan DeleteEdgeDeploymentStage DeleteEndpoint
        DeleteEndpointConfig DeleteEndpointPolicy DeleteExperiment DeleteFeatureGroup DeleteFlowDefinition
        DeleteGlobalInferenceGateway DeleteHub DeleteHubContent DeleteHubContentReference DeleteHumanTaskUi
        DeleteHyperParameterTuningJob DeleteImage DeleteImageVersion DeleteInferenceComponent
        DeleteInferenceExperiment DeleteInferenceRouter DeleteJob DeleteMlflowApp DeleteMlflowTrackingServer
        DeleteModel DeleteModelBiasJobDefinition DeleteModelCard DeleteModelExplainabilityJobDefinition
        DeleteModelPackage DeleteModelPackageGroup DeleteModelPackageGroupPolicy DeleteModelQualityJobDefinition
        DeleteMonitoringSchedule DeleteNotebookInstance DeleteNotebookInstanceLifecycleConfig DeleteOptimizationJob
        DeletePartnerApp DeletePipeline DeleteProcessingJob DeleteProject DeleteSpace DeleteStudioLifecycleConfig
        DeleteTags DeleteTrainingJob DeleteTrainingSession DeleteTrial DeleteTrialComponent DeleteUserProfile
        DeleteWorkforce DeleteWorkteam DeregisterDevices DescribeAIBenchmarkJob DescribeAIRecommendationJob
        DescribeAIWorkloadConfig DescribeAction DescribeAlgorithm DescribeApp DescribeAppImageConfig
        DescribeArtifact DescribeAutoMLJob DescribeAutoMLJobV2 DescribeCluster DescribeClusterEvent
        DescribeClusterExtension DescribeClusterNode DescribeClusterOperation DescribeClusterSchedulerConfig
        DescribeCodeRepository DescribeCompilationJob DescribeComputeQuota DescribeContext
        DescribeDataQualityJobDefinition DescribeDevice DescribeDeviceFleet DescribeDomain
        DescribeEdgeDeploymentPlan DescribeEdgePackagingJob DescribeEndpoint DescribeEndpointConfig
        DescribeExperiment DescribeFeatureGroup DescribeFeatureMetadata DescribeFlowDefinition
        DescribeGlobalInferenceGateway DescribeHub DescribeHubContent DescribeHumanTaskUi
        DescribeHyperParameterTuningJob DescribeImage DescribeImageVersion DescribeInferenceComponent
        DescribeInferenceExperiment DescribeInferenceRecommendationsJob DescribeInferenceRouter DescribeJob
        DescribeJobSchemaVersion DescribeLabelingJob DescribeLineageGroup DescribeMlflowApp
        DescribeMlflowTrackingServer DescribeModel DescribeModelBiasJobDefinition DescribeModelCard
        DescribeModelCardExportJob DescribeModelExplainabilityJobDefinition DescribeModelPackage
        DescribeModelPackageGroup DescribeModelQualityJobDefinition DescribeMonitoringSchedule
        DescribeNotebookInstance DescribeNotebookInstanceLifecycleConfig DescribeOptimizationJob DescribePartnerApp
        DescribePipeline DescribePipelineDefinitionForExecution DescribePipelineExecution DescribeProcessingJob
        DescribeProject DescribeReservedCapacity DescribeSpace DescribeStudioLifecycleConfig
        DescribeSubscribedWorkteam DescribeTrainingJob DescribeTrainingPlan DescribeTrainingPlanExtensionHistory
        DescribeTrainingSession DescribeTransformJob DescribeTrial DescribeTrialComponent DescribeUserProfile
        DescribeWorkforce DescribeWorkteam DetachClusterNodeVolume DisableSagemakerServicecatalogPortfolio
        DisassociateTrialComponent EnableSagemakerServicecatalogPortfolio ExtendTrainingPlan GetDeviceFleetReport
        GetEndpointPolicy GetLineageGroupPolicy GetModelPackageGroupPolicy GetSagemakerServicecatalogPortfolioStatus
        GetScalingConfigurationRecommendation GetSearchSuggestions ImportHubContent ListAIBenchmarkJobs
        ListAIRecommendationJobs ListAIWorkloadConfigs ListActions ListAlgorithms ListAliases ListAppImageConfigs
        ListApps ListArtifacts ListAssociations ListAutoMLJobs ListCandidatesForAutoMLJob ListClusterEvents
        ListClusterExtensionVersions ListClusterExtensions ListClusterNodes ListClusterOperations
        ListClusterSchedulerConfigs ListClusters ListCodeRepositories ListCompilationJobs ListComputeQuotas
        ListContexts ListDataQualityJobDefinitions ListDeviceFleets ListDevices ListDomains ListEdgeDeploymentPlans
        ListEdgePackagingJobs ListEndpointConfigs ListEndpoints ListExperiments ListFeatureGroups
        ListFlowDefinitions ListGlobalInferenceGateways ListHubContentVersions ListHubContents ListHubs
        ListHumanTaskUis ListHyperParameterTuningJobs ListImageVersions ListImages ListInferenceComponents
        ListInferenceExperiments ListInferenceGateways ListInferenceRecommendationsJobSteps
        ListInferenceRecommendationsJobs ListInferenceRouters ListJobSchemaVersions ListJobs ListLabelingJobs
        ListLabelingJobsForWorkteam ListLineageGroups ListMlflowApps ListMlflowTrackingServers
        ListModelBiasJobDefinitions ListModelCardExportJobs ListModelCardVersions ListModelCards
        ListModelExplainabilityJobDefinitions ListModelMetadata ListModelPackageGroups ListModelPackages
        ListModelQualityJobDefinitions ListModels ListMonitoringAlertHistory ListMonitoringAlerts
        ListMonitoringExecutions ListMonitoringSchedules ListNotebookInstanceLifecycleConfigs ListNotebookInstances
        ListOptimizationJobs ListPartnerApps ListPipelineExecutionSteps ListPipelineExecutions
        ListPipelineParametersForExecution ListPipelineVersions ListPipelines ListProcessingJobs ListProjects
        ListResourceCatalogs ListSpaces ListStageDevices ListStudioLifecycleConfigs ListSubscribedWorkteams ListTags
        ListTrainingJobs ListTrainingJobsForHyperParameterTuningJob ListTrainingPlans ListTrainingSessions
        ListTransformJobs ListTrialComponents ListTrials ListUltraServersByReservedCapacity ListUserProfiles
        ListWorkforces ListWorkteams MoveClusterNodes PutEndpointPolicy PutModelPackageGroupPolicy QueryLineage
        RegisterDevices RemoveInferenceGateway RenderUiTemplate RetryPipelineExecution Search
        SearchTrainingPlanOfferings SendPipelineExecutionStepFailure SendPipelineExecutionStepSuccess
        StartClusterHealthCheck StartEdgeDeploymentStage StartInferenceExperiment StartMlflowTrackingServer
        StartMonitoringSchedule StartNotebookInstance StartPipelineExecution StartSession StopAIBenchmarkJob
        StopAIRecommendationJob StopAutoMLJob StopCompilationJob StopEdgeDeploymentStage StopEdgePackagingJob
        StopHyperParameterTuningJob StopInferenceExperiment StopInferenceRecommendationsJob StopJob StopLabelingJob
        StopMlflowTrackingServer StopMonitoringSchedule StopNotebookInstance StopOptimizationJob
        StopPipelineExecution StopProcessingJob StopTrainingJob StopTrainingSession StopTransformJob UpdateAction
        UpdateAppImageConfig UpdateArtifact UpdateCluster UpdateClusterExtension UpdateClusterSchedulerConfig
        UpdateClusterSoftware UpdateCodeRepository UpdateComputeQuota UpdateContext UpdateDeviceFleet UpdateDevices
        UpdateDomain UpdateEndpoint UpdateEndpointWeightsAndCapacities UpdateExperiment UpdateFeatureGroup
        UpdateFeatureMetadata UpdateGlobalInferenceGateway UpdateHub UpdateHubContent UpdateHubContentReference
        UpdateImage UpdateImageVersion UpdateInferenceComponent UpdateInferenceComponentRuntimeConfig
        UpdateInferenceExperiment UpdateInferenceRouter UpdateMlflowApp UpdateMlflowTrackingServer UpdateModelCard
        UpdateModelPackage UpdateMonitoringAlert UpdateMonitoringSchedule UpdateNotebookInstance
        UpdateNotebookInstanceLifecycleConfig UpdatePartnerApp UpdatePipeline UpdatePipelineExecution
        UpdatePipelineVersion UpdateProject UpdateSpace UpdateTrainingJob UpdateTrial UpdateTrialComponent
        UpdateUserProfile UpdateWorkforce UpdateWorkteam
        """
    ),
    "sts": _names(
        """
        AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity AssumeRoot DecodeAuthorizationMessage
        GetAccessKeyInfo GetCallerIdentity GetDelegatedAccessToken GetFederationToken GetScopedCredentials
        GetSessionToken GetWebIdentityToken
        """
    ),
    "sagemaker-edge": _names(
        """
        GetDeployments GetDeviceRegistration SendHeartbeat
        """
    ),
    "greengrassv2": _names(
        """
        AssociateServiceRoleToAccount BatchAssociateClientDeviceWithCoreDevice
        BatchDisassociateClientDeviceFromCoreDevice CancelDeployment CreateComponentVersion CreateDeployment
        DeleteComponent DeleteCoreDevice DeleteDeployment DescribeComponent DisassociateServiceRoleFromAccount
        GetComponent GetComponentVersionArtifact GetConnectivityInfo GetCoreDevice GetDeployment
        GetServiceRoleForAccount ListClientDevicesAssociatedWithCoreDevice ListComponentVersions ListComponents
        ListCoreDevices ListDeployments ListEffectiveDeployments ListInstalledComponents ListTagsForResource
        ResolveComponentCandidates TagResource UntagResource UpdateConnectivityInfo
        """
    ),
    "kms": _names(
        """
        CancelKeyDeletion ConnectCustomKeyStore CreateAlias CreateCustomKeyStore CreateGrant CreateKey Decapsulate
        Decrypt DeleteAlias DeleteCustomKeyStore DeleteImportedKeyMaterial DeriveSharedSecret
        DescribeCustomKeyStores DescribeKey DisableKey DisableKeyRotation DisconnectCustomKeyStore EnableKey
        EnableKeyRotation Encapsulate Encrypt GenerateDataKey GenerateDataKeyPair
        GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom
        GetKeyLastUsage GetKeyPolicy GetKeyRotationStatus GetParametersForImport GetPublicKey ImportKeyMaterial
        ListAliases ListGrants ListKeyPolicies ListKeyRotations ListKeys ListResourceTags ListRetirableGrants
        PutKeyPolicy ReEncrypt ReplicateKey RetireGrant RevokeGrant RotateKeyOnDemand ScheduleKeyDeletion Sign
        TagResource UntagResource UpdateAlias UpdateCustomKeyStore UpdateKeyDescription UpdatePrimaryRegion Verify
        VerifyMac
        """
    ),
}
