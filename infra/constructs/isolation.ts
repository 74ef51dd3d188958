import {
  GatewayVpcEndpoint,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  type SubnetSelection,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { CfnDBSubnetGroup } from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import type { SupplierConfiguration } from '../config/configuration.ts';

const HTTPS = Port.tcp(443);

/**
 * Where Daybreak meets PostgreSQL: functions that reach the databases, S3 and KMS and nothing else, and a place for
 * restored databases that only these functions reach, and from which nothing goes out.
 */
export class Isolation extends Construct {
  static readonly SUBNET_GROUP_NAME = 'daybreak-restore-test';
  readonly vpc: IVpc;
  readonly vpcSubnets: SubnetSelection;
  readonly functions: SecurityGroup;
  readonly restored: SecurityGroup;

  constructor(scope: Construct, id: string, { network, databases }: SupplierConfiguration) {
    super(scope, id);
    const { isolatedSubnets } = network;
    this.vpc = Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: network.vpcId,
      availabilityZones: isolatedSubnets.map(({ availabilityZone }) => availabilityZone),
      isolatedSubnetIds: isolatedSubnets.map(({ subnetId }) => subnetId),
      isolatedSubnetRouteTableIds: isolatedSubnets.map(({ routeTableId }) => routeTableId),
    });
    this.vpcSubnets = { subnets: this.vpc.isolatedSubnets };
    const group = (groupId: string, description: string) =>
      new SecurityGroup(this, groupId, { vpc: this.vpc, description, allowAllOutbound: false });
    this.functions = group('Functions', 'Daybreak functions that read databases');
    this.restored = group('Restored', 'Databases restored by Daybreak');

    this.functions.addEgressRule(Peer.prefixList(network.s3PrefixListId), HTTPS, 'S3');
    this.functions.addEgressRule(this.#kmsEndpoint(network.kmsEndpointSecurityGroupId), HTTPS, 'KMS');
    for (const port of new Set(databases.map(database => database.port))) {
      this.functions.addEgressRule(this.restored, Port.tcp(port), 'restored databases');
      this.restored.addIngressRule(this.functions, Port.tcp(port), 'Daybreak functions');
    }
    for (const { id: databaseId, securityGroupId, port } of databases) {
      const database = SecurityGroup.fromSecurityGroupId(this, `Database-${databaseId}`, securityGroupId);
      this.functions.addEgressRule(database, Port.tcp(port), `database ${databaseId}`);
      database.addIngressRule(this.functions, Port.tcp(port), 'Daybreak functions', true);
    }
    if (!network.hasS3Endpoint) {
      new GatewayVpcEndpoint(this, 'S3', {
        vpc: this.vpc,
        service: GatewayVpcEndpointAwsService.S3,
        subnets: [this.vpcSubnets],
      });
    }
    new CfnDBSubnetGroup(this, 'Subnets', {
      dbSubnetGroupName: Isolation.SUBNET_GROUP_NAME,
      dbSubnetGroupDescription: 'Where Daybreak restores databases: subnets without a way out',
      subnetIds: isolatedSubnets.map(({ subnetId }) => subnetId),
    });
  }

  #kmsEndpoint(existing: string | null): SecurityGroup {
    if (existing !== null) return SecurityGroup.fromSecurityGroupId(this, 'KmsGroup', existing) as SecurityGroup;
    const group = new SecurityGroup(this, 'KmsGroup', {
      vpc: this.vpc,
      description: 'The KMS endpoint that Daybreak functions use',
      allowAllOutbound: false,
    });
    group.addIngressRule(this.functions, HTTPS, 'Daybreak functions');
    new InterfaceVpcEndpoint(this, 'Kms', {
      vpc: this.vpc,
      service: InterfaceVpcEndpointAwsService.KMS,
      subnets: this.vpcSubnets,
      securityGroups: [group],
      privateDnsEnabled: true,
      open: false,
    });
    return group;
  }
}
